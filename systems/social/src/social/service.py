"""Everything a running process holds: opened in order, closed in the other."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from functools import partial
from urllib.parse import urlsplit

import asyncpg
from glide import GlideClient
from systems_common import valkey
from systems_common.background import background
from systems_common.blobs import Blobs, blobs_of
from systems_common.broker import Broker
from systems_common.clients import networks_of
from systems_common.consumer import PullConsumer
from systems_common.database import Database
from systems_common.health import Check
from systems_common.ids import IdGenerator
from systems_common.limits import Limit, ValkeyLimiter
from systems_common.listening import listen
from systems_common.passwords import Passwords
from systems_common.stopping import hold_stop_signals

from social.accounts import Accounts
from social.conversations import Conversations
from social.fanout import DURABLE, STREAM, Fanout, prepare_stream
from social.filters import Filters
from social.homes import Homes
from social.live.hub import Hub
from social.live.rendering import Rendering
from social.live.telling import Teller
from social.marks import Marks
from social.media import Media
from social.notices import Notices
from social.people import People
from social.polls import Polls
from social.posting import Posting
from social.relationships import Relationships
from social.settings import Settings
from social.statuses import Reader
from social.timelines import Timelines
from social.tokens import Tokens

__all__ = ["NotMigratedError", "Service", "open_service"]

log = logging.getLogger(__name__)

_CONSUMER_LINGER_S = 0.01
RATE_WINDOW_S = 300.0
"""Mastodon's: so many calls in five minutes."""


class NotMigratedError(Exception):
    """The tables are not there."""


class Service:
    """What the handlers use."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        ids: IdGenerator,
        cache: GlideClient | None,
        fanout: Fanout | None,
        homes: Homes | None,
        blobs: Blobs,
        broker: Broker | None,
        teller: Teller,
        checks: Mapping[str, Check],
    ) -> None:
        self.settings = settings
        self.base_url = settings.base_url
        self.host = urlsplit(settings.base_url).netloc
        self.database = database
        self.ids = ids
        self.checks = checks
        self.fanout = fanout
        stored = settings.counters == "stored"
        self.tokens = Tokens(database)
        self.passwords = Passwords()
        media_url = settings.media_url or f"{self.base_url}/media"
        self.media = Media(
            database,
            ids,
            blobs,
            url=media_url,
            pixels_max=settings.media_pixels_max,
            unused_s=settings.media_unused_s,
        )
        self.accounts = Accounts(
            database,
            base_url=self.base_url,
            media_url=media_url,
            host=self.host,
            counters=settings.counters,
        )
        self.polls = Polls(database, teller)
        self.reader = Reader(
            database,
            self.accounts,
            self.polls,
            base_url=self.base_url,
            media_url=media_url,
            host=self.host,
            counters=settings.counters,
        )
        self.timelines = Timelines(database, self.reader, homes, paging=settings.paging)
        self.teller = teller
        self.posting = Posting(
            database, ids, teller, host=self.host, stored=stored, kept=homes is not None
        )
        self.marks = Marks(database, ids, teller, stored=stored)
        self.relationships = Relationships(database, ids, fanout, teller, stored=stored)
        self.notices = Notices(database, self.accounts, self.reader, paging=settings.paging)
        self.conversations = Conversations(
            database, self.accounts, self.reader, paging=settings.paging
        )
        self.filters = Filters(database, ids, teller)
        rendering = Rendering(database, self.reader, self.notices, self.conversations)
        self.hub = Hub(broker, database, rendering)
        self.people = People(database, self.accounts, host=self.host, paging=settings.paging)
        self.trusted = networks_of(settings.trusted_proxies)
        self.limit = Limit(settings.rate_limit, RATE_WINDOW_S) if settings.rate_limit else None
        self.limiter = ValkeyLimiter(cache, prefix="social:limit:") if cache is not None else None

    async def spread(self, status: int) -> None:
        """See to it that a status that has just been committed reaches homes and streams."""
        if self.fanout is not None:
            await self.fanout.hand_over(status)
        else:
            await self.teller.read_and_tell("update", [status])

    def token_revoked(self, digest_hex: str) -> None:
        """A token is worth nothing any more."""
        self.tokens.forget(digest_hex)
        self.hub.revoked(digest_hex)

    def revocations_are_told(self, told: bool) -> None:
        """Whether revocations are heard of from now on."""
        self.tokens.revocations_are_told(told)
        self.hub.revocations_are_told(told)


@contextlib.asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """Open the service; closing it waits for what is under way.

    Raises `DatabaseUnavailableError` when the database cannot be reached, `NotMigratedError` when
    it is empty. Valkey and NATS may come later: without them homes are read from the database.
    """
    async with contextlib.AsyncExitStack() as stack:
        stopping = stack.enter_context(hold_stop_signals())
        database = await Database.open(settings.database_url, settings.db_pool, name="social")
        stack.push_async_callback(database.close)
        try:
            ids = IdGenerator(await database.fetchval("SELECT nextval('worker_number')"))
        except asyncpg.UndefinedTableError as error:
            raise NotMigratedError(
                "the database has no tables of this service; run: python -m social migrate"
            ) from error
        checks: dict[str, Check] = {"database": Check(partial(database.fetchval, "SELECT 1"))}

        cache: GlideClient | None = None
        if settings.valkey_url:
            cache = await valkey.connect(settings.valkey_url, name="social", timeout_s=1.0)
            stack.push_async_callback(cache.close)
            checks["cache"] = Check(cache.ping, needed=False)

        broker: Broker | None = None
        if settings.nats_url:
            broker = Broker(
                settings.nats_url,
                name="social",
                prepare=partial(
                    prepare_stream,
                    replicas=settings.nats_replicas,
                    ack_wait_s=settings.fanout_ack_wait_s,
                ),
            )
            stack.push_async_callback(broker.close)
            checks["broker"] = Check(broker.ping, needed=False)
        teller = Teller(broker, database)
        stack.push_async_callback(teller.drain)

        homes: Homes | None = None
        fanout: Fanout | None = None
        if settings.keeps_homes and cache is not None:
            homes = Homes(cache)
            fanout = Fanout(
                database,
                homes,
                broker if settings.fanout_in == "queue" else None,
                teller,
                hybrid=settings.fanout == "hybrid",
                threshold=settings.fanout_threshold,
            )
        if broker is not None:
            await broker.open()
        if fanout is not None:
            if settings.roles in ("all", "worker"):
                await stack.enter_async_context(background("sweep", fanout.sweep))
                if broker is not None:
                    # Also with FANOUT_IN=request, for what was queued before the switch.
                    consumer = PullConsumer(
                        broker,
                        stream=STREAM,
                        durable=DURABLE,
                        handle=fanout.handle,
                        linger_s=_CONSUMER_LINGER_S,
                    )
                    await stack.enter_async_context(
                        background("fanout", consumer.run, stop=consumer.stop)
                    )
            stack.push_async_callback(fanout.drain)

        blobs = blobs_of(settings.media_place)
        if not settings.media_store:
            log.info("MEDIA_STORE is not set: pictures go to a temporary folder")
        checks["media"] = Check(blobs.check, needed=False)

        service = Service(
            settings, database, ids, cache, fanout, homes, blobs, broker, teller, checks
        )
        if settings.roles in ("all", "worker"):
            await stack.enter_async_context(background("media", service.media.sweep))
            await stack.enter_async_context(background("polls", service.polls.tell))
        await stack.enter_async_context(
            background(
                "revocations",
                partial(
                    listen,
                    settings.database_url,
                    name="social listen",
                    channels={"token_revoked": service.token_revoked},
                    is_told=service.revocations_are_told,
                ),
            )
        )
        await stack.enter_async_context(background("streams", service.hub.run))
        # A stream never ends by itself, so the server would wait for it in vain; for WebSockets it
        # does not wait at all, and they would end without a word.
        stopping.tell, stopping.drain = service.hub.close, service.hub.drain
        stack.callback(service.hub.close)
        log.info("started", extra={"fanout": settings.fanout, "roles": settings.roles})
        yield service
        log.info("stopping")
