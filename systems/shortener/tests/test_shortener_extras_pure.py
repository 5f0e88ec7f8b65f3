"""The rules around the redirect that need no server: addresses, hosts, limits, QR codes."""

from __future__ import annotations

import math
import struct
import zlib
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
import segno
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shortener.fallbacks import Fallbacks, location
from shortener.qr import MARGIN_MAX, SIZE_MAX, SIZE_MIN, QrOptions, image_of, options_of
from systems_common.clients import anonymized, client_address, networks_of
from systems_common.hosts import (
    ancestors,
    clean_host,
    host_of,
    is_local_name,
    is_public,
    literal_address,
)
from systems_common.limits import Limit, LocalLimiter, headers_of, step
from systems_common.passwords import hashed, matches

ADDRESSES = st.ip_addresses()


@given(ADDRESSES)
def test_an_anonymized_address_keeps_its_network_and_nothing_else(
    address: IPv4Address | IPv6Address,
) -> None:
    kept = ip_address(anonymized(str(address)))
    true = getattr(address, "ipv4_mapped", None) or address
    bits = 8 if true.version == 4 else 80
    assert kept.version == true.version
    assert int(kept) == int(true) >> bits << bits
    assert anonymized(str(kept)) == str(kept)


@given(ADDRESSES, st.integers(0, 2**80 - 1))
def test_whoever_shares_the_network_is_anonymized_to_the_same(
    address: IPv4Address | IPv6Address, other: int
) -> None:
    bits = 8 if address.version == 4 else 80
    neighbor = type(address)(int(address) >> bits << bits | other % 2**bits)
    # An IPv4 address in IPv6's clothes shares nothing with its neighbors there.
    assume(not any(getattr(one, "ipv4_mapped", None) for one in (address, neighbor)))
    assert anonymized(str(neighbor)) == anonymized(str(address))


@given(st.text())
def test_what_is_no_address_is_kept_as_nothing(text: str) -> None:
    try:
        ip_address(text.strip().strip("[]"))
    except ValueError:
        assert anonymized(text) == ""


def scope_of(peer: str, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return {"client": (peer, 4711), "headers": headers}


TRUSTED = networks_of("10.0.0.0/8, 127.0.0.1 fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["not an address"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, not an address, 10.0.0.7"], "10.0.0.7"),
        ("::ffff:10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("fd00::1", ["10.9.9.9"], "10.9.9.9"),
    ],
)
def test_forwarded_addresses_count_where_a_trusted_proxy_wrote_them(
    peer: str, forwarded: list[str], expected: str
) -> None:
    assert client_address(scope_of(peer, *forwarded), TRUSTED) == expected


@given(peer=ADDRESSES, forwarded=st.lists(st.text(st.characters(codec="latin-1")), max_size=3))
def test_without_trusted_proxies_a_client_cannot_choose_its_address(
    peer: IPv4Address, forwarded: list[str]
) -> None:
    scope = {
        "client": (str(peer), 1),
        "headers": [(b"x-forwarded-for", text.encode("latin-1")) for text in forwarded],
    }
    assert client_address(scope, ()) == str(peer)


PRIVATE = """
127.0.0.1 127.1 2130706433 0x7f000001 0177.0.0.1 0x7f.1 10.1.2.3 172.16.0.1 172.31.255.255
192.168.0.1 169.254.169.254 100.64.0.1 100.127.255.255 0.0.0.0 224.0.0.1 239.1.1.1 255.255.255.255
240.0.0.1 192.0.2.1 198.18.0.1 ::1 :: fe80::1 fc00::1 fd12::1 ff02::1 fec0::1 ::ffff:127.0.0.1
::ffff:10.0.0.1 ::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b:1::1 2002:7f00:1:: 2002:a00:1:: 2001:db8::1
2001:0:0:0:0:0:80ff:fffe
"""


@pytest.mark.parametrize(
    "host",
    PRIVATE.split(),
)
def test_addresses_that_are_not_the_publics(host: str) -> None:
    literal = literal_address(host)
    assert literal is not None
    assert not is_public(literal)


@pytest.mark.parametrize(
    "host",
    "8.8.8.8 134744072 0x08080808 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::8.8.8.8".split(),  # noqa: SIM905
)
def test_addresses_of_the_public(host: str) -> None:
    literal = literal_address(host)
    assert literal is not None
    assert is_public(literal)


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_becomes_public_by_being_written_as_ipv6(address: IPv4Address) -> None:
    number = int(address)
    forms = [
        IPv6Address(0xFFFF << 32 | number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address(0x2002 << 112 | number << 80),
    ]
    if not is_public(address):
        assert not any(is_public(form) for form in forms)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.COM./a", "example.com"),
        ("http://user:pw@b.example:8080/", "b.example"),
        ("https://münchen.example/", "xn--mnchen-3ya.example"),
        ("http://[::FFFF:7f00:1]/", "::ffff:7f00:1"),
        ("http://0x7f.1/", "127.0.0.1"),
        ("http://①②⑦.0.0.1/", "127.0.0.1"),
        ("http://127。0。0。1/", "127.0.0.1"),
        ("https://ex%61mple.com/", None),
        ("https://a..b/", None),
        ("https://[::1/", None),
        ("https:///path", None),
    ],
)
def test_a_host_is_read_as_browsers_read_it(url: str, host: str | None) -> None:
    assert host_of(url) == host


def test_a_ban_covers_subdomains_and_only_these() -> None:
    assert ancestors("a.evil.example") == ["a.evil.example", "evil.example", "example"]
    assert "evil.example" not in ancestors("notevil.example")
    assert ancestors("10.0.0.1") == ["10.0.0.1"]


@given(st.text(max_size=40))
def test_a_clean_host_is_clean_already(text: str) -> None:
    host = clean_host(text)
    assert host is None or (clean_host(host) == host and host.isascii())


def test_names_of_the_own_network_are_local() -> None:
    assert is_local_name("localhost") and is_local_name("db.internal") and is_local_name("x.local")
    assert not is_local_name("localhost.example.com")


LIMITS = st.builds(Limit, st.integers(1, 50), st.floats(0.5, 100))


@given(LIMITS, st.lists(st.floats(0, 5), max_size=120))
def test_no_window_sees_more_than_twice_the_limit(limit: Limit, pauses: list[float]) -> None:
    tat_s, now_s, let_through = 0.0, 1000.0, []
    for pause in pauses:
        now_s += pause
        tat_s, verdict = step(tat_s, now_s, limit)
        if verdict.allowed:
            let_through.append(now_s)
            assert 0 <= verdict.remaining < limit.calls
        else:
            # Having waited as told, the next call is let through.
            assert step(tat_s, now_s + verdict.retry_s, limit)[1].allowed
    for start in let_through:
        inside = [at for at in let_through if start <= at < start + limit.window_s]
        assert len(inside) <= 2 * limit.calls


@given(LIMITS)
def test_the_whole_limit_is_there_at_once_and_not_one_more(limit: Limit) -> None:
    tat_s, remaining = 0.0, []
    for _ in range(limit.calls):
        tat_s, verdict = step(tat_s, 50.0, limit)
        assert verdict.allowed
        remaining.append(verdict.remaining)
    assert remaining == list(range(limit.calls - 1, -1, -1))
    assert not step(tat_s, 50.0, limit)[1].allowed


def test_a_refusal_says_when_to_come_again() -> None:
    limiter, limit = LocalLimiter(), Limit(1, 60)
    assert (b"retry-after", b"60") not in headers_of(limiter.take("a", limit))
    refused = limiter.take("a", limit)
    assert not refused.allowed
    assert (b"retry-after", b"60") in headers_of(refused)
    assert limiter.take("b", limit).allowed


def test_a_password_is_kept_as_scrypt_with_a_salt_of_its_own() -> None:
    kept = hashed("Grüße \ud800")
    assert kept.startswith("scrypt$16384$8$1$")
    assert kept != hashed("Grüße \ud800")
    assert matches("Grüße \ud800", kept)
    assert not matches("grüße \ud800", kept)
    with pytest.raises(ValueError, match="scrypt"):
        matches("x", kept.replace("scrypt", "bcrypt"))


OPTIONS = st.builds(
    QrOptions,
    kind=st.just("png"),
    size=st.integers(SIZE_MIN, 150),
    margin=st.integers(0, 60),
    error_correction=st.sampled_from(["l", "m", "q", "h"]),
    round_block_size=st.booleans(),
    color=st.just("12345f"),
    background=st.just("fefefe"),
)
TEXT = "https://sho.rt/abc12"


def pixels_of(png: bytes) -> tuple[bytes, list[list[int]]]:
    """The palette and the rows of a PNG with one bit a pixel."""
    chunks, position = {}, 8
    while position < len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        data = png[position + 8 : position + 8 + length]
        assert struct.unpack_from(">I", png, position + 8 + length)[0] == zlib.crc32(kind + data)
        chunks[kind] = data
        position += 12 + length
    width, height, depth, color_type = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    assert (depth, color_type) == (1, 3)
    lines, stride = zlib.decompress(chunks[b"IDAT"]), 1 + -(-width // 8)
    assert len(lines) == stride * height
    return chunks[b"PLTE"], [
        [
            lines[y * stride + 1 + x // 8] >> (7 - x % 8) & 1
            for x in range(width)
        ]
        for y in range(height)
    ]  # fmt: skip


@settings(max_examples=10, deadline=None)
@given(OPTIONS)
def test_a_qr_image_holds_the_symbol_in_the_size_asked_for(options: QrOptions) -> None:
    palette, rows = pixels_of(image_of(TEXT, options))
    width = options.size + 2 * options.margin
    assert palette == bytes.fromhex("fefefe12345f")
    assert len(rows) == width and all(len(row) == width for row in rows)
    symbol = segno.make(TEXT, error=options.error_correction, micro=False, boost_error=False)
    modules = [list(row) for row in symbol.matrix]
    dark = [[x for x, pixel in enumerate(row) if pixel] for row in rows]
    top = next(y for y, row in enumerate(dark) if row)
    left = min(row[0] for row in dark if row)
    right = max(row[-1] for row in dark if row)
    assert min(top, left) >= options.margin
    block = (right + 1 - left) / len(modules)
    if options.round_block_size:
        assert block == int(block)
    else:
        assert right + 1 - left == options.size
    # The first pixel of each module.
    firsts = [math.ceil(module * block) for module in range(len(modules))]
    seen = [[rows[top + y][left + x] for x in firsts] for y in firsts]
    assert seen == modules


@given(
    st.dictionaries(
        st.sampled_from(
            ["format", "size", "margin", "errorCorrection", "roundBlockSize", "color", "bgColor"]
        ),
        st.one_of(st.text(max_size=12), st.integers().map(str)),
    )
)
def test_whatever_is_asked_for_the_options_are_within_bounds(query: dict[str, str]) -> None:
    options = options_of(query)
    assert SIZE_MIN <= options.size <= SIZE_MAX
    assert 0 <= options.margin <= MARGIN_MAX
    assert options.error_correction in "lmqh"
    assert len(bytes.fromhex(options.color + options.background)) == 6


def test_qr_options_are_shlinks() -> None:
    assert options_of({}) == QrOptions()
    assert options_of(
        {
            "format": "SVG",
            "size": "5000",
            "margin": "-3",
            "errorCorrection": "Q",
            "roundBlockSize": "false",
            "color": "#F00",
            "bgColor": "00ff00",
        }
    ) == QrOptions(
        kind="svg",
        size=1000,
        margin=0,
        error_correction="q",
        round_block_size=False,
        color="ff0000",
        background="00ff00",
    )


def test_fallbacks_take_the_path_but_never_as_their_host() -> None:
    fallbacks = Fallbacks(
        regular_404="https://{DOMAIN}.example/{DOMAIN}/{ORIGINAL_PATH}?from={ORIGINAL_PATH}"
    )
    found = location(fallbacks, "regular_404", domain="sho.rt", path="/a/b c?d\r\n")
    assert found == "https://{DOMAIN}.example/sho.rt/a/b%20c%3Fd%0D%0A?from=a%2Fb%20c%3Fd%0D%0A"
    assert location(fallbacks, "base_url", domain="sho.rt", path="/") is None


def test_networks_are_read_with_commas_and_blanks() -> None:
    assert networks_of("") == ()
    assert networks_of("10.1.2.3/8,::1") == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
