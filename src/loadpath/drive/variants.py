"""Some requests asked again in other ways, back to back A B A: what does an answer depend on?

Another identity, none, other headers, a query parameter less. That the two A agree tells what
depends on the request from what changed meanwhile; where they do not, it is tried again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from time import monotonic

import msgspec
import numpy as np

from loadpath import recording
from loadpath.drive.driver import Driver
from loadpath.drive.plan import VariantsWanted
from loadpath.drive.replies import (
    Asked,
    ReplyLog,
    asked,
    caching_headers,
    is_credential,
)
from loadpath.drive.rows import Columns
from loadpath.drive.sequential import NoReplyError, SequentialClient
from loadpath.flow import Reply
from loadpath.recording.schema import VARIANTS
from loadpath.wire.seen import reply_digest, vary_of

TRIES = 4
FAILED = 500
TIMEOUT_S = 5.0
PARAMETERS_MAX = 6
PLAIN_SAMPLES = 2
"""So many requests of an operation are enough to see whether a header or a parameter matters."""

OTHER_HEADERS = (
    (b"accept-language", b"de"),
    (b"accept-encoding", b"gzip"),
    (b"accept", b"application/xml"),
)
"""Headers by which services choose among several answers, and what is asked for."""


class Variant(msgspec.Struct, frozen=True):
    """A request that is other in one way."""

    name: str
    request: Asked


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One A B A, as a row of `schema.VARIANTS`."""

    operation: int
    target: int
    variant: str
    before: int
    other: int
    after: int
    status: int
    other_status: int
    same_key: bool
    headers: str
    authorized: bool


class VariantsAsker:
    """Asks for a driver whose loop is at rest, one request after the other."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def ask(self, wanted: VariantsWanted) -> int:
        """Ask, and write what came to `wanted.path`; how many were compared.

        Nothing is written where nothing could be asked. Raises `RecordingError`.
        """
        log = self._driver.replies
        if log is None:
            return 0
        deadline = monotonic() + wanted.budget_s
        client = SequentialClient(self._driver.address, self._driver.security)
        rows: list[Compared] = []
        try:
            for place in range(wanted.limit):
                for operation, payloads in log.sampled.items():
                    if place >= len(payloads) or monotonic() > deadline:
                        continue
                    request = asked(list(payloads)[place])
                    others = _other_credentials(request, log)
                    for variant in variants(request, others, plain=place < PLAIN_SAMPLES):
                        row = _compare(client, log, operation, request, variant)
                        if row is not None:
                            rows.append(row)
        finally:
            client.close()
        if rows:
            columns: Columns = {
                name: np.array(
                    [getattr(row, name) for row in rows], dtype=_KINDS.get(name, np.uint64)
                )
                for name in Compared.__struct_fields__
            }
            columns["segment"] = np.full(len(rows), wanted.segment, np.uint16)
            recording.write_table(wanted.path, VARIANTS, columns)
        return len(rows)


_KINDS: dict[str, type] = {
    "operation": np.uint16,
    "variant": object,
    "status": np.uint16,
    "other_status": np.uint16,
    "same_key": np.bool_,
    "headers": object,
    "authorized": np.bool_,
}


def variants(
    request: Asked, other: Sequence[tuple[bytes, bytes]] | None, *, plain: bool
) -> Iterator[Variant]:
    """The same request in other ways. `other` are another identity's credentials; `plain`: also
    those that are not about who asks."""
    own = [each for each in request.headers if is_credential(each[0])]
    rest = tuple(each for each in request.headers if not is_credential(each[0]))
    if own:
        if other is not None:
            yield Variant("identity", _with(request, headers=(*rest, *other)))
        yield Variant("anonymous", _with(request, headers=rest))
        if len(own) > 1 and any(name == b"cookie" for name, _ in own):
            kept = tuple(each for each in request.headers if each[0] != b"cookie")
            yield Variant("without cookie", _with(request, headers=kept))
    if not plain:
        return
    for name, value in OTHER_HEADERS:
        kept = tuple(each for each in request.headers if each[0] != name)
        said = name.decode().title()
        yield Variant(f"header {said}", _with(request, headers=(*kept, (name, value))))
    path, _, query = request.target.partition(b"?")
    parameters = query.split(b"&") if query else []
    for index, parameter in enumerate(parameters[:PARAMETERS_MAX]):
        less = b"&".join(parameters[:index] + parameters[index + 1 :])
        name_said = parameter.partition(b"=")[0].decode("latin-1")
        yield Variant(
            f"query {name_said}", _with(request, target=path + (b"?" + less if less else b""))
        )
    if len(parameters) > 1:
        turned = b"&".join(reversed(parameters))
        yield Variant("query order", _with(request, target=path + b"?" + turned))


def ignores(no_vary_search: str, variant: str) -> bool:
    """Whether the header No-Vary-Search says that what is other in the query does not matter."""
    said = no_vary_search.lower()
    if variant == "query order":
        return bool(re.search(r"(^|[,\s])key-order(\s*(,|$)|=\?1)", said))
    name = variant.removeprefix("query ").lower()
    if name in re.findall(r'"([^"]*)"', _listed(said, "except")):
        return False
    if re.search(r"(^|[,\s])params(\s*(,|$)|=\?1)", said):
        return True
    return name in re.findall(r'"([^"]*)"', _listed(said, "params"))


def _listed(said: str, key: str) -> str:
    found = re.search(rf"(?:^|[,\s]){key}=\(([^)]*)\)", said)
    return found[1] if found else ""


def _with(
    request: Asked,
    *,
    headers: tuple[tuple[bytes, bytes], ...] | None = None,
    target: bytes | None = None,
) -> Asked:
    return Asked(
        request.method,
        request.target if target is None else target,
        request.headers if headers is None else headers,
    )


def _other_credentials(request: Asked, log: ReplyLog) -> list[tuple[bytes, bytes]] | None:
    """Those of somebody else who asked anything; None: nobody else did."""
    own = request.credentials
    for payloads in log.sampled.values():
        for payload in payloads:
            other = asked(payload)
            if other.credentials and other.credentials != own:
                return [each for each in other.headers if is_credential(each[0])]
    return None


def _compare(
    client: SequentialClient, log: ReplyLog, operation: int, request: Asked, variant: Variant
) -> Compared | None:
    """Ask A B A; again while the two A differ, and once more when B does, to be sure that it is no
    accident. None when one of them had no reply, or the service failed: that says nothing of who
    asked."""
    last: Compared | None = None
    try:
        for _ in range(TRIES):
            seen = _once(client, log, operation, request, variant)
            if seen is None:
                continue
            certain = last is not None and last.other == seen.other
            last = seen
            if seen.before == seen.after and (seen.other == seen.before or certain):
                return seen
    except NoReplyError:
        return None
    # It never came to rest: told as one whose own answer changes.
    return None if last is None else msgspec.structs.replace(last, after=0)


def _once(
    client: SequentialClient, log: ReplyLog, operation: int, request: Asked, variant: Variant
) -> Compared | None:
    replies = [_get(client, each) for each in (request, variant.request, request)]
    if any(reply.status >= FAILED for reply in replies):
        return None
    first, other, second = replies
    return Compared(
        operation=operation,
        target=log.digest(b"%b %b" % (request.method.encode(), request.target)),
        variant=variant.name,
        before=_digest(log, first),
        other=_digest(log, other),
        after=_digest(log, second),
        status=first.status,
        other_status=other.status,
        same_key=_same_key(request, variant, first),
        headers=caching_headers(first.head),
        authorized=any(name == b"authorization" for name, _ in request.headers),
    )


def _same_key(request: Asked, variant: Variant, reply: Reply) -> bool:
    if variant.name.startswith("query "):
        return ignores(reply.header("no-vary-search") or "", variant.name)
    vary = vary_of(reply.head)
    return b"*" not in vary and all(
        request.values(name) == variant.request.values(name) for name in vary
    )


def _get(client: SequentialClient, request: Asked) -> Reply:
    lines = b"".join(b"%b: %b\r\n" % header for header in request.headers)
    payload = b"%b %b HTTP/1.1\r\n%b\r\n" % (request.method.encode(), request.target, lines)
    return client.exchange(payload, method=request.method, timeout_s=TIMEOUT_S).reply


def _digest(log: ReplyLog, reply: Reply) -> int:
    hasher = log.hasher()
    hasher.update(reply.body)
    return reply_digest(hasher, reply.status, reply.head)
