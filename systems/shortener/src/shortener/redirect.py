"""GET /{code}: the path that carries nearly all of the traffic.

It is plain ASGI, because routing it through the framework costs 41 µs of 60 (DECISIONS.md).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from systems_common.batching import OverloadedError
from systems_common.database import Database, DatabaseUnavailableError
from systems_common.ids import IdGenerator
from systems_common.problems import PROBLEM_JSON, ProblemError

from shortener import problems
from shortener.addresses import with_query
from shortener.codes import SLUG_LENGTH_MAX
from shortener.recording import Recorder
from shortener.targets import Target, Targets
from shortener.visits import Visit, browser_of, store_one

__all__ = ["Redirector"]

Scope = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]

_REFERER_MAX = 1_024
_VISITED_URL_MAX = 2_048
_EMPTY_BODY = {"type": "http.response.body", "body": b""}


class Redirector:
    """Finds the target, records the visit, answers; in that order."""

    def __init__(
        self,
        *,
        targets: Targets,
        recorder: Recorder,
        database: Database,
        ids: IdGenerator,
        base_url: str,
        status: int,
    ) -> None:
        self._targets = targets
        self._recorder = recorder
        self._database = database
        self._ids = ids
        self._base_url = base_url
        self._status = status
        # A permanent redirect that browsers keep hides later visits; this bounds it to 90 s.
        age_s = 90 if status in (301, 308) else 0
        self._cache_control = (b"cache-control", b"private, max-age=%d" % age_s)

    async def __call__(self, scope: Scope, send: Send) -> None:
        """Answer one request for a path of a single segment."""
        try:
            location = await self._follow(scope)
        except ProblemError as problem:
            await _send_problem(send, problem)
            return
        await send(
            {
                "type": "http.response.start",
                "status": self._status,
                "headers": [
                    (b"location", location.encode("ascii")),
                    self._cache_control,
                    (b"content-length", b"0"),
                ],
            }
        )
        await send(_EMPTY_BODY)

    async def _follow(self, scope: Scope) -> str:
        code: str = scope["path"][1:]
        try:
            target = self._targets.peek(code)
            if target is None:
                if len(code) > SLUG_LENGTH_MAX or not code.isprintable():
                    raise problems.link_not_found(code)
                target = await self._targets.find(code)
                if target is None:
                    raise problems.link_not_found(code)
            now_s = time.time()
            if (target.valid_since_s is not None and now_s < target.valid_since_s) or (
                target.valid_until_s is not None and now_s > target.valid_until_s
            ):
                raise problems.link_not_found(code)
            query: bytes = scope["query_string"]
            # A HEAD asks where the link leads; nobody has followed it.
            if scope["method"] == "GET":
                await self._visit(scope, code, target, query)
        except (DatabaseUnavailableError, OverloadedError) as error:
            raise problems.unavailable() from error
        if query and target.forward_query:
            return with_query(target.location, query.decode("latin-1"))
        return target.location

    async def _visit(self, scope: Scope, code: str, target: Target, query: bytes) -> None:
        referer = user_agent = None
        bot = False
        for name, value in scope["headers"]:
            if name == b"user-agent":
                browser = browser_of(value)
                user_agent, bot = browser.user_agent, browser.bot
            elif name == b"referer":
                referer = value[:_REFERER_MAX].decode("latin-1")
        visited_url = None
        if query:
            visited_url = f"{self._base_url}/{code}?{query.decode('latin-1')}"[:_VISITED_URL_MAX]
        visit = Visit(self._ids.next(), target.link_id, bot, referer, user_agent, visited_url)
        if not target.limited:
            await self._recorder.record(visit)
        # Only the database knows exactly how many are left, so these never take the queue.
        elif not await store_one(self._database, visit):
            raise problems.link_not_found(code)


async def _send_problem(send: Send, problem: ProblemError) -> None:
    body = problem.body()
    headers = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.encode(), value.encode()) for name, value in problem.headers.items()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
