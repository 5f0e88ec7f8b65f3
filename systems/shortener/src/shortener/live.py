"""What happens now, told to whoever listens: visits and new links, from any process to any process.

Nothing is sent while nobody listens. A process that has listeners says so over NATS every few
seconds; the others publish what happens as long as they have heard that of late. So redirects pay
for this only while somebody looks. It is a view, not a record: what is missed is in the visits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal

import msgspec
import nats.errors
from nats.aio.msg import Msg
from systems_common.broker import Broker
from systems_common.database import Database, DatabaseUnavailableError

from shortener.links import links_by_id
from shortener.schemas import clicked_visit, short_url
from shortener.visits import Visit

__all__ = [
    "ALL_TOPICS",
    "NEW_ORPHAN_VISIT",
    "NEW_SHORT_URL",
    "NEW_VISIT",
    "TOPICS_MAX",
    "Live",
    "topic_of",
]

log = logging.getLogger(__name__)

NEW_VISIT = "new-visit"
NEW_ORPHAN_VISIT = "new-orphan-visit"
NEW_SHORT_URL = "new-short-url"
ALL_TOPICS = (NEW_VISIT, NEW_ORPHAN_VISIT, NEW_SHORT_URL)
TOPICS_MAX = 100
_TOPIC_PREFIX = "https://shlink.io/"

_HAPPENED = "shortener.live.happened"
_WANTED = "shortener.live.wanted"
_ASKED = "shortener.live.asked"
_SAY_WANTED_S = 2.0
_WANTED_FOR_S = 6.0
_PENDING_MAX = 5_000
_A_MESSAGE_MAX = 500
_WAITING_MAX = 1_000
_GATHER_S = 0.05


class Happening(msgspec.Struct, frozen=True, array_like=True):
    """What one process tells the others. A visit of a link names it; an orphan visit has none."""

    kind: Literal["visit", "orphan", "link"]
    link_id: int | None = None
    visit: Visit | None = None
    orphan_type: str | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Happening]).decode
_encode_json = msgspec.json.Encoder().encode


class _Listener:
    """One stream. Its queue is bounded; one that is full belongs to a reader that is too slow."""

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING_MAX + 1)
        self.ended = False

    def give(self, event: bytes) -> None:
        if self.ended:
            return
        if self.queue.qsize() >= _WAITING_MAX:
            log.warning("a reader of live visits is too slow and is dropped")
            self.end(discard=True)
            return
        self.queue.put_nowait(event)

    def end(self, *, discard: bool = False) -> None:
        if self.ended:
            return
        self.ended = True
        while discard and not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


def topic_of(text: str) -> str | None:
    """A topic without Shlink's prefix, None when there is no such topic.

    `new-visit`, `new-visit/{code}`, `new-orphan-visit`, `new-short-url`.
    """
    topic = text.removeprefix(_TOPIC_PREFIX)
    head, slash, code = topic.partition("/")
    if head == NEW_VISIT and (code or not slash):
        return topic
    return topic if topic in (NEW_ORPHAN_VISIT, NEW_SHORT_URL) else None


class Live:
    """The listeners of this process, and what it tells the others."""

    def __init__(self, broker: Broker | None, database: Database, base_url: str) -> None:
        self._broker = broker
        self._database = database
        self._base_url = base_url
        self._listeners: set[_Listener] = set()
        self._told: list[Happening] = []
        self._heard: list[Happening] = []
        self._has_heard = asyncio.Event()
        self._wanted_until_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._subscribed = False
        self._closed = False
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_available(self) -> bool:
        """Whether events reach all processes: that takes NATS."""
        return self._broker is not None

    @property
    def wanted(self) -> bool:
        """Whether somebody, anywhere, listens. Ask before `visit`; it costs next to nothing."""
        return self._wanted_until_s > 0.0 and self._loop.time() < self._wanted_until_s

    async def run(self) -> None:
        """Deliver, and say that this process has listeners, until cancelled."""
        if self._broker is None:
            return
        self._broker.on_ready.append(self._on_ready)
        if self._broker.is_ready:
            self._on_ready()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._deliver())
            tasks.create_task(self._keep_wanting())

    def close(self) -> None:
        """End every stream; new ones end at once."""
        self._closed = True
        for listener in list(self._listeners):
            listener.end()

    def tell(self, happening: Happening) -> None:
        """Publish what happened, together with all else of this turn of the loop."""
        if not self._told:
            self._loop.call_soon(self._publish)
        if len(self._told) < _PENDING_MAX:
            self._told.append(happening)

    def visit(self, visit: Visit) -> None:
        """A link was visited."""
        self.tell(Happening("visit", visit.link_id, visit))

    def orphan_visit(self, visit: Visit, orphan_type: str) -> None:
        """A page that is no link was visited; `orphan_type` as in Shlink."""
        self.tell(Happening("orphan", None, visit, orphan_type))

    def link(self, link_id: int) -> None:
        """A link was made."""
        if self.wanted:
            self.tell(Happening("link", link_id))

    async def events(
        self, topics: Sequence[str], *, keep_alive_s: float = 15.0
    ) -> AsyncGenerator[bytes, None]:
        """Server-sent events of these topics, and a comment whenever none came for a while."""
        listener = _Listener(frozenset(topics))
        self._listeners.add(listener)
        try:
            self._say_wanted()
            if self._closed:
                return
            yield b": listening\nretry: 2000\n\n"
            while True:
                try:
                    async with asyncio.timeout(keep_alive_s):
                        event = await listener.queue.get()
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                # What has come by now goes out together: a chunk costs more than an event.
                chunk, ended = [], event is None
                while event is not None:
                    chunk.append(event)
                    if listener.queue.empty():
                        break
                    event = listener.queue.get_nowait()
                    ended = event is None
                if chunk:
                    yield b"".join(chunk)
                if ended:
                    return
        finally:
            self._listeners.discard(listener)

    def _on_ready(self) -> None:
        if not self._subscribed:
            self._subscribed = True
            self._start(self._subscribe())
        else:
            # Who reconnects may have missed that somebody began to listen.
            self._start(self._send(_ASKED))

    async def _subscribe(self) -> None:
        assert self._broker is not None
        client = self._broker.client
        try:
            await client.subscribe(_WANTED, cb=self._on_wanted)
            await client.subscribe(_ASKED, cb=self._on_asked)
            await client.subscribe(_HAPPENED, cb=self._on_happened)
        except (nats.errors.Error, OSError):
            self._subscribed = False
            raise
        await self._send(_ASKED)

    async def _on_wanted(self, _: Msg) -> None:
        self._wanted_until_s = self._loop.time() + _WANTED_FOR_S

    async def _on_asked(self, _: Msg) -> None:
        if self._listeners:
            await self._send(_WANTED)

    async def _on_happened(self, message: Msg) -> None:
        if not self._listeners:
            return
        try:
            happenings = _decode(message.data)
        except msgspec.DecodeError as error:
            log.warning("a live message cannot be read", extra={"error": str(error)})
            return
        room = _PENDING_MAX - len(self._heard)
        if room < len(happenings):
            log.warning("live visits come faster than they are shown; some are left out")
        self._heard += happenings[: max(room, 0)]
        self._has_heard.set()

    async def _keep_wanting(self) -> None:
        while True:
            await asyncio.sleep(_SAY_WANTED_S)
            if self._listeners:
                await self._send(_WANTED)

    def _say_wanted(self) -> None:
        self._wanted_until_s = self._loop.time() + _WANTED_FOR_S
        self._start(self._send(_WANTED))

    def _publish(self) -> None:
        told, self._told = self._told, []
        for start in range(0, len(told), _A_MESSAGE_MAX):
            self._start(self._send(_HAPPENED, _encode(told[start : start + _A_MESSAGE_MAX])))

    async def _send(self, subject: str, payload: bytes = b"") -> None:
        if self._broker is None or not self._broker.is_ready:
            return
        try:
            await self._broker.client.publish(subject, payload)
        except (nats.errors.Error, OSError) as error:
            log.info("a live message was not sent", extra={"error": str(error) or repr(error)})

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("live events failed", extra={"error": str(error) or repr(error)})

    async def _deliver(self) -> None:
        while True:
            await self._has_heard.wait()
            # What comes within this time shares one look at the links.
            await asyncio.sleep(_GATHER_S)
            self._has_heard.clear()
            heard, self._heard = self._heard, []
            try:
                await self._show(heard)
            except DatabaseUnavailableError as error:
                log.warning("live visits are left out", extra={"error": str(error)})

    async def _show(self, heard: list[Happening]) -> None:
        wanted = {topic.partition("/")[0] for each in self._listeners for topic in each.topics}
        ids = {
            happening.link_id
            for happening in heard
            if happening.link_id is not None
            and (NEW_SHORT_URL if happening.kind == "link" else NEW_VISIT) in wanted
        }
        rows = {row["id"]: row for row in await links_by_id(self._database, list(ids))}
        for happening in heard:
            topics, body = self._event(happening, rows)
            event = b"event: %b\ndata: %b\n\n" % (topics[0].encode(), body) if topics else b""
            for listener in list(self._listeners):
                if not listener.topics.isdisjoint(topics):
                    listener.give(event)
            # A burst of thousands must not hold up the redirects of this process.
            await asyncio.sleep(0)

    def _event(self, happening: Happening, rows: dict[int, Any]) -> tuple[list[str], bytes]:
        row = rows.get(happening.link_id or 0)
        if happening.kind == "link":
            if row is None:
                return [], b""
            return [NEW_SHORT_URL], _encode_json({"shortUrl": short_url(row, self._base_url)})
        if happening.visit is None:
            return [], b""
        if happening.kind == "orphan":
            shown = msgspec.to_builtins(clicked_visit(happening.visit, self._base_url + "/"))
            shown["type"] = happening.orphan_type
            return [NEW_ORPHAN_VISIT], _encode_json({"visit": shown})
        if row is None:
            return [], b""
        link = short_url(row, self._base_url)
        body = {"shortUrl": link, "visit": clicked_visit(happening.visit, link.short_url)}
        return [NEW_VISIT, f"{NEW_VISIT}/{link.short_code}"], _encode_json(body)
