"""Everything a running process holds: opened in order, closed in the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from functools import partial
from urllib.parse import urlsplit

import asyncpg
import msgspec
from glide import GlideClient
from systems_common import valkey
from systems_common.background import background
from systems_common.broker import Broker
from systems_common.clients import networks_of
from systems_common.consumer import PullConsumer
from systems_common.database import Database, connect
from systems_common.health import Check
from systems_common.ids import IdGenerator
from systems_common.stopping import hold_stop_signals

from shortener.changes import listen_for_changes
from shortener.code_sources import CodeSource, open_codes
from shortener.domains import Domains
from shortener.fallbacks import Fallbacks
from shortener.gate import Gate
from shortener.guard import TargetGuard
from shortener.indexes import set_visit_index
from shortener.keys import KeyRing
from shortener.live import Live
from shortener.local_targets import LocalTargets
from shortener.new_links import NewLinks
from shortener.passwords import Passwords
from shortener.recording import (
    DURABLE,
    STREAM,
    BatchRecorder,
    Recorder,
    SyncRecorder,
    prepare_stream,
    store_batch,
)
from shortener.redirect import Redirector
from shortener.remembering import UnknownKeys
from shortener.settings import Settings
from shortener.slots import SlottedRecorder, fold_slots, keep_folding
from shortener.targets import DatabaseTargets, Targets
from shortener.throttle import Throttle
from shortener.valkey_targets import ValkeyTargets

__all__ = ["NotMigratedError", "Service", "open_service"]

log = logging.getLogger(__name__)

_STOP_TIMEOUT_S = 5.0
# Shorter than links are remembered for: nobody misses an unknown code's place in memory.
_UNKNOWN_TTL_S = 10.0


class NotMigratedError(Exception):
    """The tables are not there."""


class Extras(msgspec.Struct, frozen=True):
    """What lies around the core."""

    live: Live
    throttle: Throttle
    passwords: Passwords
    guard: TargetGuard


class Service:
    """What the handlers use."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        domains: Domains,
        keys: KeyRing,
        redirector: Redirector,
        checks: Mapping[str, Check],
        codes: CodeSource,
        new_links: NewLinks,
        extras: Extras,
    ) -> None:
        self.base_url = settings.base_url.rstrip("/")
        self.default_domain = urlsplit(settings.base_url).netloc
        self.delete_visits_max = settings.delete_visits_max
        self.database = database
        self.domains = domains
        self.keys = keys
        self.redirector = redirector
        self.checks = checks
        self.codes = codes
        self.new_links = new_links
        self.live = extras.live
        self.throttle = extras.throttle
        self.passwords = extras.passwords
        self.guard = extras.guard


@contextlib.asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """Open the service; closing it waits for visits that are under way.

    Raises `DatabaseUnavailableError` when the database cannot be reached, `NotMigratedError` when
    it is empty. Valkey and NATS may
    come later: without them redirects read and write the database.
    """
    async with contextlib.AsyncExitStack() as stack:
        stopping = stack.enter_context(hold_stop_signals())
        database = await Database.open(settings.database_url, settings.db_pool, name="shortener")
        stack.push_async_callback(database.close)
        try:
            ids = IdGenerator(await database.fetchval("SELECT nextval('worker_number')"))
        except asyncpg.UndefinedTableError as error:
            raise NotMigratedError(
                "the database has no tables of this service; run: python -m shortener migrate"
            ) from error
        await _set_visit_index(settings)
        codes = await open_codes(settings.codes, database)
        checks: dict[str, Check] = {
            "database": Check(partial(database.fetchval, "SELECT 1")),
        }

        cache: GlideClient | None = None
        if settings.valkey_url:
            cache = await valkey.connect(settings.valkey_url, name="shortener")
            stack.push_async_callback(cache.close)
            checks["cache"] = Check(cache.ping, needed=False)
        targets = _targets(settings, database, cache)
        domains = Domains(database, urlsplit(settings.base_url).netloc)
        stack.push_async_callback(domains.close)
        await domains.load()
        await stack.enter_async_context(
            background(
                "changes", partial(listen_for_changes, settings.database_url, targets, domains)
            )
        )

        # Also without VISITS=slotted, for slots that were left before the switch.
        await fold_slots(database)
        recorder: Recorder = SyncRecorder(database)
        if settings.visits == "slotted":
            recorder = SlottedRecorder(database)
            await stack.enter_async_context(background("slots", partial(keep_folding, database)))
        broker: Broker | None = None
        if settings.nats_url:
            broker = Broker(
                settings.nats_url,
                name="shortener",
                prepare=partial(
                    prepare_stream,
                    replicas=settings.nats_replicas,
                    ack_wait_s=settings.visits_ack_wait_s,
                ),
            )
            stack.push_async_callback(broker.close)
            checks["broker"] = Check(broker.ping, needed=False)
            # It also runs with VISITS=sync, for visits that were queued before the switch.
            consumer = PullConsumer(
                broker, stream=STREAM, durable=DURABLE, handle=partial(store_batch, database)
            )
            await broker.open()
            await stack.enter_async_context(background("visits", consumer.run, stop=consumer.stop))
            if settings.visits == "batch":
                recorder = BatchRecorder(broker, database)
        stack.push_async_callback(_drain, recorder)

        trusted = networks_of(settings.trusted_proxies)
        extras = Extras(
            Live(broker, database, settings.base_url.rstrip("/")),
            Throttle(
                cache,
                per_address=settings.rate_limit_per_address,
                per_key=settings.rate_limit_per_key,
                trusted=trusted,
                secret=settings.database_url,
            ),
            Passwords(),
            TargetGuard(database, allow_private=settings.allow_private_targets),
        )
        stack.callback(extras.guard.close)
        stopping.tell = extras.live.close
        stack.callback(extras.live.close)
        await stack.enter_async_context(background("live", extras.live.run))

        redirector = Redirector(
            targets=targets,
            domains=domains,
            recorder=recorder,
            database=database,
            ids=ids,
            base_url=settings.base_url.rstrip("/"),
            status=settings.redirect_status,
            disable_track_param=settings.disable_track_param or None,
            track_orphans=settings.track_orphan_visits,
            extra_path=settings.redirect_extra_path_mode,
            trusted_proxies=trusted,
            gate=Gate(database, extras.passwords, extras.throttle),
            live=extras.live,
            fallbacks=Fallbacks(
                settings.default_base_url_redirect,
                settings.default_invalid_short_url_redirect,
                settings.default_regular_404_redirect,
            ),
        )
        log.info("started", extra={"cache": settings.redirect_cache, "visits": settings.visits})
        yield Service(
            settings,
            database,
            domains,
            KeyRing(database),
            redirector,
            checks,
            codes,
            NewLinks(database, targets),
            extras,
        )
        log.info("stopping")


async def _set_visit_index(settings: Settings) -> None:
    # Over a connection of its own: it may take minutes, and a query of the pool may not.
    connection = await connect(settings.database_url, name="shortener index")
    try:
        await set_visit_index(connection, settings.visit_index)
    finally:
        await connection.close()


def _targets(settings: Settings, database: Database, cache: GlideClient | None) -> Targets:
    source = DatabaseTargets(database)
    unknown = UnknownKeys(
        entries=max(1, settings.redirect_cache_entries // 10),
        ttl_s=min(_UNKNOWN_TTL_S, settings.redirect_cache_ttl_s),
    )
    if settings.redirect_cache == "local":
        return LocalTargets(
            source,
            ttl_s=settings.redirect_cache_ttl_s,
            entries=settings.redirect_cache_entries,
            unknown=unknown,
        )
    if settings.redirect_cache == "valkey" and cache is not None:
        return ValkeyTargets(source, cache, ttl_s=settings.redirect_cache_ttl_s, unknown=unknown)
    return source


async def _drain(recorder: Recorder) -> None:
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await recorder.drain()
    except TimeoutError:
        log.error("visits were still under way at the end")
