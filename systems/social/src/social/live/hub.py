"""The streams of this process: which subjects they need, and what was heard, given to them.

A stream never has a gap that its client does not know of: whenever the process may have missed
something, because NATS, the database or the client itself did not keep up, the stream ends. The
client comes back and reads the timeline, as it does after any broken connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from functools import partial

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from systems_common.broker import Broker
from systems_common.database import Database, DatabaseUnavailableError

from social.errors import ApiError, not_found, unavailable
from social.home_sql import FOLLOWED, LISTED
from social.live.connections import Connection, Watch
from social.live.rendering import Asked, Rendering
from social.live.streams import Stream, check_scope
from social.live.telling import (
    EVERY_STATUS,
    IN_PUBLIC_SUBJECT,
    Told,
    decode_told,
    of_account,
    of_author,
    of_tag,
)

__all__ = ["Hub"]

log = logging.getLogger(__name__)

CONNECTIONS_OF_AN_ACCOUNT_MAX = 50
STREAMS_OF_A_CONNECTION_MAX = 50
_AUTHORS_MAX = 20_000
_HEARD_MAX = 20_000
_GATHER_S = 0.005
# So many of the longest statuses are less than may wait for one client.
_AT_ONCE = 50
_TIDY_AFTER_S = 1.0
_FLUSH_TIMEOUT_S = 2
_DRAIN_TIMEOUT_S = 2.0


class Hub:
    """Connections, their watches, and the subscriptions these need. `broker` None: no streams."""

    def __init__(self, broker: Broker | None, database: Database, rendering: Rendering) -> None:
        self._broker = broker
        self._database = database
        self._rendering = rendering
        self._connections: dict[int, set[Connection]] = {}
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._routes: dict[str, set[Watch]] = {}
        self._authors: set[str] = set()
        self._subscriptions: dict[str, Subscription] = {}
        self._settling = asyncio.Lock()
        self._tidying: asyncio.Task[None] | None = None
        self._heard: dict[tuple[str, Told], None] = {}
        self._has_heard = asyncio.Event()
        self._closed = False
        self._revocations_told = False
        if broker is not None:
            broker.on_lost.append(partial(self.end_all, "NATS is away"))

    @property
    def is_open(self) -> bool:
        """Whether streams can be opened now."""
        connected = self._broker is not None and self._broker.client.is_connected
        return connected and self._revocations_told and not self._closed

    @property
    def subjects(self) -> frozenset[str]:
        """What this process hears of now."""
        return frozenset(self._subscriptions)

    # Connections.

    def attach(self, connection: Connection) -> None:
        """Take a connection. Raises a 429 when the account has too many, a 503 while it stops."""
        if not self.is_open:
            raise unavailable()
        mine = self._connections.setdefault(connection.account, set())
        if len(mine) >= CONNECTIONS_OF_AN_ACCOUNT_MAX:
            raise ApiError(429, "Too many streams are open")
        mine.add(connection)
        self._emptied.clear()

    def detach(self, connection: Connection) -> None:
        """Forget a connection, with all its streams."""
        connection.outbox.end("it was closed")
        mine = self._connections.get(connection.account, set())
        mine.discard(connection)
        if not mine:
            self._connections.pop(connection.account, None)
        if not self._connections:
            self._emptied.set()
        for stream in list(connection.watches):
            self.unwatch(connection, stream)

    async def watch(self, connection: Connection, stream: Stream) -> None:
        """Show a stream from now on: what happens after this has returned is in it.

        Raises a 403 when the token is not for it, a 404 when it is somebody else's list, a 503
        when NATS does not answer.
        """
        check_scope(stream, connection.token)
        if stream in connection.watches:
            return
        if len(connection.watches) >= STREAMS_OF_A_CONNECTION_MAX:
            raise ApiError(422, "Too many streams on one connection")
        if stream.list_id and not await self._database.fetchval(
            "SELECT true FROM list WHERE id = $1 AND account_id = $2",
            stream.list_id,
            connection.account,
        ):
            raise not_found()
        watch = connection.watches[stream] = Watch(connection, stream)
        try:
            self._route(watch, _fixed_subjects(watch))
            await self._settle()
            if stream.name in ("user", "list"):
                # Whom somebody follows is read after changes of that are heard.
                await self._follow(watch)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            log.warning("a stream cannot be heard", extra={"error": str(error) or repr(error)})
            self.unwatch(connection, stream)
            raise unavailable() from error
        except BaseException:
            self.unwatch(connection, stream)
            raise

    def unwatch(self, connection: Connection, stream: Stream) -> None:
        """Show a stream no more."""
        watch = connection.watches.pop(stream, None)
        if watch is not None:
            self._route(watch, ())
            self._tidy_soon()

    def end_all(self, reason: str) -> None:
        """End every stream: something may have been missed, or the process stops."""
        if self._connections:
            log.info("all streams end", extra={"reason": reason})
        self._heard.clear()
        for connection in self._all():
            connection.outbox.end(reason)

    def close(self) -> None:
        """End every stream and take no more."""
        self._closed = True
        if self._tidying is not None:
            self._tidying.cancel()
        self.end_all("the service stops")

    async def drain(self) -> None:
        """Wait until all connections were told that they end, or do not listen."""
        try:
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                await self._emptied.wait()
        except TimeoutError:
            log.info("streams are left as they are", extra={"n": len(self._all())})

    def revoked(self, digest_hex: str) -> None:
        """A token was revoked: what it opened ends."""
        digest = bytes.fromhex(digest_hex)
        for connection in self._all():
            if connection.token.digest == digest:
                connection.outbox.end("the token was revoked")

    def revocations_are_told(self, told: bool) -> None:
        """Without it a revoked token would be worth something for as long as its stream stands."""
        self._revocations_told = told
        if not told:
            self.end_all("revocations are not heard of")

    def _all(self) -> list[Connection]:
        return [one for mine in self._connections.values() for one in mine]

    # Subjects.

    def _route(self, watch: Watch, subjects: Iterable[str]) -> None:
        before, watch.subjects = watch.subjects, frozenset(subjects)
        for subject in before - watch.subjects:
            watches = self._routes[subject]
            watches.discard(watch)
            if not watches:
                del self._routes[subject]
                self._authors.discard(subject)
        for subject in watch.subjects - before:
            self._routes.setdefault(subject, set()).add(watch)
            if _is_of_author(subject):
                self._authors.add(subject)

    async def _follow(self, watch: Watch) -> None:
        """Hear of those whose statuses stand in the stream now."""
        account = watch.connection.account
        if watch.stream.list_id:
            rows = await self._database.fetch(_OF_LIST, account, watch.stream.list_id)
        else:
            rows = await self._database.fetch(_OF_HOME, account)
        if watch.connection.watches.get(watch.stream) is not watch:
            return
        authors = (of_author(row[0]) for row in rows)
        self._route(watch, {*_fixed_subjects(watch), *authors})
        await self._settle()

    def _wanted(self) -> Collection[str]:
        if len(self._authors) <= _AUTHORS_MAX:
            return self._routes.keys()
        # A subscription costs 5 kB here; beyond so many it is cheaper to hear of everybody.
        return (self._routes.keys() - self._authors) | {EVERY_STATUS}

    async def _settle(self) -> None:
        """Subscribe to what is wanted; when it returns, the server knows."""
        if self._broker is None:
            return
        client = self._broker.client
        async with self._settling:
            wanted = self._wanted()
            missing = [subject for subject in wanted if subject not in self._subscriptions]
            for n, subject in enumerate(missing, start=1):
                self._subscriptions[subject] = await client.subscribe(
                    subject, cb=partial(self._hear, subject)
                )
                if n % 200 == 0:
                    await asyncio.sleep(0)
            # Those of another who has only just asked may still be under way, so always.
            await client.flush(timeout=_FLUSH_TIMEOUT_S)
            if any(subject not in wanted for subject in self._subscriptions):
                self._tidy_soon()

    def _tidy_soon(self) -> None:
        # Many leave together; what nobody hears any more is given up a little later.
        if self._tidying is None and not self._closed:
            self._tidying = asyncio.get_running_loop().create_task(self._tidy())

    async def _tidy(self) -> None:
        """Unsubscribe from what nobody here hears any more."""
        await asyncio.sleep(_TIDY_AFTER_S)
        try:
            # What takes the place of others is subscribed to before these are given up.
            await self._settle()
            async with self._settling:
                wanted = self._wanted()
                if all(subject in self._subscriptions for subject in wanted):
                    for subject in [one for one in self._subscriptions if one not in wanted]:
                        await self._subscriptions.pop(subject).unsubscribe()
        except (nats.errors.Error, OSError, TimeoutError) as error:
            log.info("not unsubscribed", extra={"error": str(error) or repr(error)})
        finally:
            self._tidying = None

    # What is heard.

    async def _hear(self, subject: str, message: Msg) -> None:
        if subject == EVERY_STATUS:
            subject = f"{message.subject.rpartition('.')[0]}.*"
        if subject not in self._routes:
            return
        try:
            told = decode_told(message.data)
        except msgspec.DecodeError as error:
            log.error("a message about streams cannot be read", extra={"error": str(error)})
            self.end_all("something was told that is not understood")
            return
        if len(self._heard) >= _HEARD_MAX:
            self.end_all("more happens than can be shown")
            return
        self._heard[subject, told] = None
        self._has_heard.set()

    async def run(self) -> None:
        """Show what is heard, until cancelled."""
        while True:
            await self._has_heard.wait()
            # What comes within this time shares its look at the database.
            await asyncio.sleep(_GATHER_S)
            self._has_heard.clear()
            heard, self._heard = self._heard, {}
            try:
                await self._deal(heard)
            except Exception:
                self.end_all("something could not be shown")
                raise

    async def _deal(self, heard: Iterable[tuple[str, Told]]) -> None:
        asked: list[Asked] = []
        followers: dict[Watch, None] = {}
        for subject, told in heard:
            for watch in self._routes.get(subject, ()):
                if told.kind == "follows" and watch.stream.name in ("user", "list"):
                    followers[watch] = None
                elif told.kind in watch.kinds:
                    asked.append(Asked(watch, told))
        for watch in followers:
            await self._follow_anew(watch)
        for start in range(0, len(asked), _AT_ONCE):
            await self._show(asked[start : start + _AT_ONCE])

    async def _follow_anew(self, watch: Watch) -> None:
        try:
            await self._follow(watch)
        except (nats.errors.Error, OSError, TimeoutError, DatabaseUnavailableError) as error:
            self._lost([watch], error)

    async def _show(self, asked: list[Asked]) -> None:
        try:
            payloads = await self._rendering.payloads(asked)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not become a gap
            self._lost([one.watch for one in asked], error)
            return
        for one, payload in zip(asked, payloads, strict=True):
            # Unwatched or closed meanwhile, it would be surprised.
            if payload is not None and one.watch.subjects:
                one.watch.connection.give(one.watch.stream, one.told.kind, payload)

    def _lost(self, watches: list[Watch], error: Exception) -> None:
        expected = isinstance(error, DatabaseUnavailableError | nats.errors.Error | OSError)
        log.log(
            logging.WARNING if expected else logging.ERROR,
            "streams end because something cannot be shown in them",
            exc_info=None if expected else error,
            extra={"error": str(error) or repr(error)},
        )
        for watch in watches:
            watch.connection.outbox.end("something could not be shown")


_OF_HOME = f"SELECT target_id FROM ({FOLLOWED}) AS f"
_OF_LIST = "SELECT target_id FROM ({}) AS f".format(LISTED.replace("$5", "$2"))


def _is_of_author(subject: str) -> bool:
    return subject.endswith(".*")


def _fixed_subjects(watch: Watch) -> list[str]:
    stream = watch.stream
    if stream.is_empty:
        return []
    if stream.is_public:
        return [IN_PUBLIC_SUBJECT]
    return [of_tag(stream.tag) if stream.tag else of_account(watch.connection.account)]
