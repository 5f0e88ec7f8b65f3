"""Everything a running process holds: opened in order, closed in the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import asyncpg
import msgspec
from glide import GlideClient
from nats.js import JetStreamContext
from systems_common import valkey
from systems_common.background import background
from systems_common.blobs import blobs_of
from systems_common.broker import Broker
from systems_common.database import Database, DatabaseUnavailableError
from systems_common.health import Check
from systems_common.listening import listen
from systems_common.passwords import Passwords, hashed
from systems_common.stopping import hold_stop_signals

from messaging.accounts import Account, Accounts
from messaging.appending import Appender
from messaging.changing import Changes
from messaging.creation import Creator
from messaging.cross_signing import CrossSigning
from messaging.device_keys import DeviceKeys, tell_sharers
from messaging.errors import forbidden, not_found
from messaging.filters import Filter, parse_filter
from messaging.hierarchy import Hierarchy
from messaging.http import Reply, Request
from messaging.key_backup import KeyBackups
from messaging.media import Media
from messaging.memberships import Memberships
from messaging.notifications import Notifications
from messaging.presence import Presence
from messaging.presence_store import PresenceStore
from messaging.push_delivery import PushDelivery
from messaging.push_queue import PushQueue
from messaging.pushers import Pushers
from messaging.reading import Reading
from messaging.receipts import Receipts
from messaging.relations import Relations
from messaging.rooms import Rooms
from messaging.search import Search
from messaging.search_index import SearchIndex
from messaging.sessions import Sessions
from messaging.settings import Settings
from messaging.snapshots import parse_position
from messaging.sync import Sync
from messaging.sync_read import SyncReader
from messaging.tail import Tail
from messaging.throttle import LoginThrottle
from messaging.typing_notices import TypingNotices
from messaging.unread import Unread
from messaging.wake import NatsWake, QuietWake, Wake

__all__ = ["NotMigratedError", "Route", "Service", "open_service"]

log = logging.getLogger(__name__)

_STOP_TIMEOUT_S = 5.0
_GATEWAYS_TIMEOUT_S = 2.0
_NOBODYS = hashed("the password of nobody")


class NotMigratedError(Exception):
    """The tables are not there."""


class Route(msgspec.Struct, frozen=True):
    """An endpoint. `public`: also for who is not signed in."""

    method: str
    pattern: str
    handler: Callable[[Service, Request], Awaitable[Reply]]
    public: bool = False


class Service:
    """What the handlers use."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        sessions: Sessions,
        accounts: Accounts,
        cache: GlideClient | None,
        wake: Wake,
        tail: Tail,
        typing: TypingNotices,
        epoch: str,
        checks: Mapping[str, Check],
    ) -> None:
        notify = settings.wake == "notify"
        unread = Unread(database, counted=settings.unread == "counted")
        self.settings = settings
        self.database = database
        self.accounts = accounts
        self.checks = checks
        self.wake = wake
        self.tail = tail
        self.typing = typing
        self.sessions = sessions
        self.passwords = Passwords()
        self.throttle = LoginThrottle(cache, settings.login_failures_max)
        self.rooms = Rooms(database)
        self.hierarchy = Hierarchy(database)
        self.search = Search(database, self.rooms)
        self.index = SearchIndex(database) if settings.search == "on" else None
        self.changes = Changes(database, self._moved, wake.touched, notify=notify)
        self.keys = DeviceKeys(self.changes)
        self.cross_signing = CrossSigning(self.changes)
        self.backups = KeyBackups(database)
        accounts.on_fewer_devices = partial(tell_sharers, self.changes)
        accounts.touched = wake.touched
        self.memberships = Memberships(self.changes, accounts)
        self.creator = Creator(self.changes, accounts, settings.server_name)
        self.appender = Appender(database, self.rooms, self._moved, notify=notify)
        self.receipts = Receipts(database, wake.moved, mode=settings.receipts, notify=notify)
        self.media = Media(
            database, blobs_of(settings.media_place), bytes_max=settings.media_bytes_max
        )
        self.reading = Reading(database)
        self.relations = Relations(database)
        self.pushers = Pushers(database)
        self.notifications = Notifications(database, self.rooms)
        self.delivery = PushDelivery(
            database, unread, public_only=settings.push_gateways == "public"
        )
        self.pushes = PushQueue(database, self.delivery.wake)
        self.presence = Presence(
            PresenceStore(cache) if cache is not None and settings.presence == "on" else None,
            database,
            tail.rooms,
            coalesce_s=settings.presence_coalesce_ms / 1000,
        )
        self.sync = Sync(
            database,
            tail,
            SyncReader(database, unread),
            self.reading,
            self.presence,
            unread,
            epoch,
            remembers=settings.sync_cache == "on",
        )
        self.gateways: set[asyncio.Task[Any]] = set()
        self._filters: dict[tuple[int, str], Filter] = {}

    def _moved(self, room_no: int) -> None:
        """A room has new events."""
        self.wake.moved(room_no)
        self.pushes.wake()
        if self.index is not None:
            self.index.wake()

    async def checked(self, user_id: str, password: str) -> Account:
        """The account, if that is its password. Raises M_FORBIDDEN, M_LIMIT_EXCEEDED."""
        await self.throttle.admit(user_id)
        account = await self.accounts.find(user_id)
        kept = _NOBODYS if account is None else account.password_digest
        # Also for nobody, so that the time does not tell which users there are.
        if not await self.passwords.match(password, kept) or account is None:
            await self.throttle.failed(user_id)
            raise forbidden("The user or the password is wrong.")
        return account

    async def filter_content(self, user_no: int, text: str) -> bytes:
        """A filter that was kept, as JSON. Raises M_NOT_FOUND."""
        content: bytes | None = None
        if text.isascii() and text.isdigit() and len(text) < 10:
            content = await self.database.fetchval(
                "SELECT content FROM filter WHERE user_no = $1 AND no = $2", user_no, int(text)
            )
        if content is None:
            raise not_found("There is no such filter.")
        return content

    async def filter(self, user_no: int, text: str) -> Filter:
        """A filter that was kept; filters never change, so it is remembered."""
        found = self._filters.get((user_no, text))
        if found is None:
            found = parse_filter(await self.filter_content(user_no, text))
            if len(self._filters) > 10_000:
                self._filters.clear()
            self._filters[user_no, text] = found
        return found

    async def seq_of_token(self, room_no: int, token: str) -> int:
        """The number of the room's last event before a token, of a page or of /sync."""
        if token.startswith("t") and token[1:].isascii() and token[1:].isdigit():
            return min(int(token[1:20]), 2**62)
        position = parse_position(token)
        # Events commit in the order of their numbers, so what the token saw comes first.
        found = await self.database.fetchval(
            "SELECT seq FROM event WHERE room_no = $1"
            " AND pg_visible_in_snapshot(xid, $2::text::pg_snapshot) ORDER BY seq DESC LIMIT 1",
            room_no,
            position.snapshot.text,
        )
        return int(found or 0)

    async def drain_gateways(self) -> None:
        """Wait until all WebSockets have said that they end, or do not listen."""
        if self.gateways:
            await asyncio.wait(self.gateways, timeout=_GATEWAYS_TIMEOUT_S)

    async def drain(self) -> None:
        """Wait for what is under way."""
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await self.appender.drain()
                await self.receipts.drain()
        except TimeoutError:
            log.error("messages or receipts were still under way at the end")


@contextlib.asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """Open the service; closing it answers who waits and finishes what is under way.

    Raises `DatabaseUnavailableError` when the database cannot be reached, `NotMigratedError` when
    it is empty. Valkey and NATS may come later: without them nobody types, and processes look for
    what is new ten times a second.
    """
    async with contextlib.AsyncExitStack() as stack:
        stopping = stack.enter_context(hold_stop_signals())
        database = await Database.open(settings.database_url, settings.db_pool, name="messaging")
        stack.push_async_callback(database.close)
        try:
            epoch = await database.fetchval("SELECT name FROM epoch")
        except asyncpg.UndefinedTableError as error:
            raise NotMigratedError(
                "the database has no tables of this service; run: python -m messaging migrate"
            ) from error
        checks: dict[str, Check] = {"database": Check(partial(database.fetchval, "SELECT 1"))}
        cache: GlideClient | None = None
        if settings.valkey_url:
            cache = await valkey.connect(settings.valkey_url, name="messaging")
            stack.push_async_callback(cache.close)
            checks["cache"] = Check(cache.ping, needed=False)
        typing = TypingNotices(cache)
        heard: list[Callable[[], bool]] = []
        tail = Tail(
            database,
            typing,
            coalesce_s=settings.wake_coalesce_ms / 1000,
            poll_s=settings.wake_poll_ms / 1000 if settings.wake == "poll" else None,
            hears=lambda: all(ask() for ask in heard),
        )
        await tail.open()
        wake: Wake
        if settings.wake == "nats":
            broker = Broker(settings.nats_url, name="messaging", prepare=_nothing)
            stack.push_async_callback(broker.close)
            checks["broker"] = Check(broker.ping, needed=False)
            wake = NatsWake(broker, tail.heard)
            await broker.open()
        else:
            wake = QuietWake(tail.heard, hears=settings.wake == "notify")
        tail.wake = wake
        heard.append(lambda: wake.hears)
        sessions = Sessions(database)
        service = Service(
            settings,
            database,
            sessions,
            Accounts(database, settings.access_token_lifetime_s, sessions.forget),
            cache,
            wake,
            tail,
            typing,
            epoch,
            checks,
        )
        checks["media"] = Check(service.media.blobs.check, needed=False)
        await stack.enter_async_context(background("media", service.media.sweep))
        await stack.enter_async_context(background("wake", wake.run))
        await stack.enter_async_context(background("tail", tail.run))
        await stack.enter_async_context(background("presence", service.presence.run))
        stack.callback(service.delivery.close)
        await stack.enter_async_context(background("push queue", service.pushes.run))
        await stack.enter_async_context(background("pushes", service.delivery.run))
        if service.index is not None:
            await stack.enter_async_context(background("search", service.index.run))
        await stack.enter_async_context(_listening(settings, service, wake, heard))
        stack.push_async_callback(service.drain)
        stopping.tell, stopping.drain = service.sync.close, service.drain_gateways
        stack.callback(service.sync.close)
        log.info("started", extra={"wake": settings.wake, "sync_cache": settings.sync_cache})
        yield service
        log.info("stopping")


async def _nothing(js: JetStreamContext) -> None:
    """Wake-ups are plain NATS: there is no stream to make."""


def _listening(
    settings: Settings, service: Service, wake: Wake, heard: list[Callable[[], bool]]
) -> contextlib.AbstractAsyncContextManager[None]:
    is_told = False

    def told(now: bool) -> None:
        nonlocal is_told
        is_told = now
        service.sessions.changes_are_told(now)

    hear: dict[str, Callable[[str], None]] = {
        "token_ended": lambda digest: service.sessions.forget(bytes.fromhex(digest))
    }
    if settings.wake == "notify":
        hear["room_moved"] = hear["user_moved"] = lambda number: service.tail.heard()
        hear["room_typing"] = lambda number: service.tail.heard(True)
        heard.append(lambda: is_told)
        tasks: set[asyncio.Task[Any]] = set()

        async def tell(room_no: int) -> None:
            with contextlib.suppress(DatabaseUnavailableError):
                # Typing is gone in seconds anyway; who misses it misses nothing that is kept.
                await service.database.fetch("SELECT pg_notify('room_typing', $1)", str(room_no))

        def typing_told(room_no: int) -> None:
            task = asyncio.get_running_loop().create_task(tell(room_no))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        if isinstance(wake, QuietWake):
            wake.typing_told = typing_told
    work = partial(
        listen, settings.database_url, name="messaging listen", channels=hear, is_told=told
    )
    return background("changes", work)
