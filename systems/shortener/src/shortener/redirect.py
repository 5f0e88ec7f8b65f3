"""GET /{code}: the path that carries nearly all of the traffic.

It is plain ASGI, because routing it through the framework costs 41 µs of 60 (DECISIONS.md).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any

from systems_common.batching import OverloadedError
from systems_common.clients import Network, anonymized, client_address
from systems_common.database import Database, DatabaseUnavailableError
from systems_common.ids import IdGenerator
from systems_common.problems import PROBLEM_JSON, ProblemError

from shortener import problems
from shortener.addresses import ExtraPath, has_parameter, with_path, with_query
from shortener.codes import SLUG_LENGTH_MAX
from shortener.domains import Domain, Domains
from shortener.fallbacks import Fallbacks
from shortener.fallbacks import location as fallback_of
from shortener.gate import Gate, GuardedError
from shortener.live import Live
from shortener.orphans import OrphanType
from shortener.recording import Recorder
from shortener.rules import Visitor, choose
from shortener.targets import Target, Targets, key_of
from shortener.visits import Visit, browser_of, store_one

__all__ = ["Redirector"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_REFERER_MAX = 1_024
_URL_MAX = 2_048
_VISITS_LEFT = """
SELECT c.total < l.max_visits FROM link AS l JOIN link_counter AS c ON c.link_id = l.id
WHERE l.id = $1"""
_EMPTY_BODY = {"type": "http.response.body", "body": b""}
_kept_address = lru_cache(maxsize=8_192)(anonymized)


class Redirector:
    """Finds the target, records the visit, answers; in that order."""

    def __init__(
        self,
        *,
        targets: Targets,
        domains: Domains,
        recorder: Recorder,
        database: Database,
        ids: IdGenerator,
        base_url: str,
        status: int,
        trusted_proxies: Iterable[Network] = (),
        disable_track_param: str | None = None,
        track_orphans: bool = True,
        extra_path: ExtraPath = "default",
        gate: Gate,
        live: Live,
        fallbacks: Fallbacks,
    ) -> None:
        self._targets = targets
        self._domains = domains
        self._recorder = recorder
        self._database = database
        self._ids = ids
        self._base_url = base_url
        self._status = status
        self._proxies = tuple(trusted_proxies)
        self._untracked = disable_track_param
        self._track_orphans = track_orphans
        self._extra_path = extra_path
        self._gate = gate
        self._live = live
        self._fallbacks = fallbacks
        # A permanent redirect that browsers keep hides later visits; this bounds it to 90 s.
        age_s = 90 if status in (301, 308) else 0
        self._cache_control = (b"cache-control", b"private, max-age=%d" % age_s)
        self._uncached = (b"cache-control", b"private, max-age=0")

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, code: str | None = None, extra: str = ""
    ) -> None:
        """Answer one request for a path of a single segment, or for a `code` with `extra` path."""
        status = self._status
        try:
            try:
                location = await self._follow(scope, code)
                if scope["method"] == "POST":
                    raise problems.method_not_allowed("GET, HEAD")
            except GuardedError as guarded:
                if not await self._gate.admits(scope, receive, send, guarded.link_id):
                    return
                location = await self._follow(scope, code, admitted=True)
                if scope["method"] == "POST":
                    status = 303  # The password is not for the site that the link leads to.
        except DatabaseUnavailableError:
            await _send_problem(send, problems.unavailable())
            return
        except ProblemError as problem:
            await self._not_found(scope, send, "invalid_short_url", problem)
            return
        if extra:
            location = with_path(location, extra)
        await _send_redirect(send, status, location, self._cache_control)

    async def track(self, scope: Scope, code: str, domain: Domain) -> None:
        """Count a visit as a redirect does, for the tracking pixel.

        Raises the problem of a link that does not lead on now, or only with a password.
        """
        try:
            await self._follow(scope, code, domain=domain)
        except GuardedError as guarded:
            raise problems.link_not_found(code) from guarded

    def leaves_the_root(self, scope: Scope) -> bool:
        """Whether `/` leads somewhere else on the domain of a request."""
        domain = self._domains.of(dict(scope["headers"]).get(b"host"))
        return bool(domain.redirects.get("base_url") or self._fallbacks.base_url)

    async def elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a path that is neither a code nor one of the API: /, or more than one segment."""
        if scope["path"] == "/":
            await self._not_found(scope, send, "base_url", problems.not_found())
            return
        code, _, extra = scope["path"][1:].partition("/")
        if self._extra_path == "default" or not code:
            await self._not_found(scope, send, "regular_404", problems.not_found())
            return
        appended = f"/{extra}" if self._extra_path == "append" else ""
        await self(scope, receive, send, code, appended)

    async def _follow(
        self,
        scope: Scope,
        code: str | None = None,
        *,
        admitted: bool = False,
        domain: Domain | None = None,
    ) -> str:
        """The location that the request is led to, once the visit is durable.

        Raises the problem of a link that is not there or not valid now, and `GuardedError` unless
        the gate has `admitted` the request.
        """
        if code is None:
            code = scope["path"][1:]
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if domain is None:
            domain = self._domains.of(headers.get(b"host"))
        try:
            target = self._targets.peek(key_of(domain.name, code))
            if target is None:
                target = await self._find(domain, code)
            now_s = time.time()
            if (target.valid_since_s is not None and now_s < target.valid_since_s) or (
                target.valid_until_s is not None and now_s > target.valid_until_s
            ):
                raise problems.link_not_found(code)
            if target.guarded and not admitted:
                raise GuardedError(target.link_id)
            location = target.location
            if target.rules:
                location = choose(target.rules, self._visitor(scope, headers, now_s)) or location
            query: bytes = scope["query_string"]
            if query and target.forward_query:
                location = with_query(location, query.decode("latin-1"), without=self._untracked)
            # A HEAD asks where the link leads; nobody has followed it.
            if scope["method"] == "GET" or admitted:
                await self._visit(scope, headers, domain, code, target, location)
        except (DatabaseUnavailableError, OverloadedError) as error:
            raise problems.unavailable() from error
        return location

    async def _find(self, domain: Domain, code: str) -> Target:
        if len(code) <= SLUG_LENGTH_MAX and code.isprintable() and "/" not in code:
            target = await self._targets.find(key_of(domain.name, code))
            if target is None and domain.name:
                # As in Shlink a domain has all codes of the default one, unless it has its own.
                target = self._targets.peek(code) or await self._targets.find(code)
            if target is not None:
                return target
        raise problems.link_not_found(code)

    def _visitor(self, scope: Scope, headers: dict[bytes, bytes], now_s: float) -> Visitor:
        return Visitor(
            now_s,
            headers.get(b"user-agent", b"").decode("latin-1"),
            headers.get(b"accept-language", b"").decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            client_address(scope, self._proxies),
        )

    async def _visit(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        domain: Domain,
        code: str,
        target: Target,
        location: str,
    ) -> None:
        if self._is_untracked(scope):
            # It is not counted, but does not open a link that has had all its visits either.
            if target.limited and not await self._has_visits_left(target):
                raise problems.link_not_found(code)
            return
        visited_url = None
        if scope["query_string"] or domain.name:
            visited_url = self._visited_url(scope, domain)
        # The link's own address is added where the visit is stored, rather than sent along.
        led_to = None if location is target.location else location
        visit = self._click(scope, headers, target.link_id, visited_url, led_to)
        if not target.limited:
            await self._recorder.record(visit)
        # Only the database knows exactly how many are left, so these never take the queue.
        elif not await store_one(self._database, visit):
            raise problems.link_not_found(code)
        if self._live.wanted:
            self._live.visit(visit)

    def _click(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        link_id: int,
        visited_url: str | None,
        location: str | None,
        orphan: OrphanType | None = None,
        domain: str = "",
    ) -> Visit:
        agent, referer = headers.get(b"user-agent"), headers.get(b"referer")
        browser = None if agent is None else browser_of(agent)
        return Visit(
            self._ids.next(),
            link_id,
            browser is not None and browser.bot,
            None if referer is None else referer[:_REFERER_MAX].decode("latin-1"),
            None if browser is None else browser.user_agent,
            visited_url,
            None if location is None else location[:_URL_MAX],
            _kept_address(client_address(scope, self._proxies)) or None,
            orphan,
            domain,
        )

    def _visited_url(self, scope: Scope, domain: Domain) -> str:
        base = self._base_url
        if domain.name:
            base = f"{base.partition('://')[0]}://{domain.name}"
        query = scope["query_string"].decode("latin-1")
        # What cannot be stored was sent as such: PostgreSQL keeps no NUL in a text.
        path = scope["path"].replace("\0", "%00").encode("utf-8", "replace").decode()
        return f"{base}{path}{'?' if query else ''}{query}"[:_URL_MAX]

    def _is_untracked(self, scope: Scope) -> bool:
        query: bytes = scope["query_string"]
        return bool(
            query
            and self._untracked is not None
            and has_parameter(query.decode("latin-1"), self._untracked)
        )

    async def _has_visits_left(self, target: Target) -> bool:
        found = await self._database.fetchval(_VISITS_LEFT, target.link_id)
        return found is not False

    async def _not_found(
        self, scope: Scope, send: Send, kind: OrphanType, problem: ProblemError
    ) -> None:
        """Record that no link was found, then lead to where the domain wants that, or say 404."""
        if problem.status != 404:
            await _send_problem(send, problem)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        domain = self._domains.of(headers.get(b"host"))
        location = domain.redirects.get(kind) or fallback_of(
            self._fallbacks,
            kind,
            domain=domain.name or self._base_url.partition("://")[2],
            path=scope["path"],
        )
        if self._track_orphans and scope["method"] == "GET" and not self._is_untracked(scope):
            url = self._visited_url(scope, domain)
            visit = self._click(scope, headers, 0, url, location, kind, domain.name)
            try:
                await self._recorder.record(visit)
            except (DatabaseUnavailableError, OverloadedError):
                await _send_problem(send, problems.unavailable())
                return
            if self._live.wanted:
                self._live.orphan_visit(visit, kind)
        if location is None:
            await _send_problem(send, problem)
        else:
            await _send_redirect(send, 302, location, self._uncached)


async def _send_redirect(
    send: Send, status: int, location: str, cache_control: tuple[bytes, bytes]
) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"location", location.encode("ascii")),
                cache_control,
                (b"content-length", b"0"),
            ],
        }
    )
    await send(_EMPTY_BODY)


async def _send_problem(send: Send, problem: ProblemError) -> None:
    body = problem.body()
    headers = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.encode(), value.encode()) for name, value in problem.headers.items()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
