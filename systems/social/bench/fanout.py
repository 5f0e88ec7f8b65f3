"""How soon a post stands in its followers' homes, and what very many followers cost.

    python bench/fanout.py load [--seconds 60] [--stretches 3] [--every 1.5] [--write]
    python bench/fanout.py celebrity [--rounds 20] [--posts 25] [--write]

Needs two cores, `loadpath` and the `testing` extra. The service (one worker) has one core, the
embedded servers, the engine and this program have the other. The authors and their followers are
made by SQL, everything that is measured goes over HTTP.

`load`: an author with 10,000 followers posts all the time, under FANOUT=write, which puts each post
into all of their homes, and as it is by default, which merges them at read. The capacity for the
system's own mix (loadpath.toml) beside that is found, then 80 % of it is driven, then the capacity
is looked for again, until it stayed what it was during three stretches. A post is there when all of
their homes in Valkey have it, where they hold it, and the last follower has read it over HTTP.

`celebrity`: FANOUT=hybrid. An author with 10 followers (A) and one with a million (B) post in
turns, A B B A, each post after the answer to the one before; then, with FANOUT=write, one with
10,000. With --quick everything is smaller, for trying. With --write the table goes into README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import os
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import readme
from followed import Followed, Watch, followed, make_homes
from glide import GlideClient
from mix import Carried, Mix, mix_on
from social.testing import command, new_database
from systems_common import valkey
from systems_common.testing import (
    GranianService,
    granian_service,
    nats_server,
    postgres_server,
    private_folder,
    valkey_server,
)

from loadpath.drive import OpenLoad

SHARE = 0.8
# By how much what was driven may be another share of the capacity, as it was before and after.
SHARE_OFF_MAX = 0.08
STRETCHES_MAX = 3  # times as many as are wanted
SERVICE_CORE, OTHER_CORE = {0}, {1}
# What the flows sign in with when nothing else is set; it opens nothing but a database of a trial.
SEED_TOKEN = "loadpath-embedded-test-token"
_TIMEOUT_S = 20.0


class Place(msgspec.Struct, frozen=True):
    """Where the servers are, and a folder that goes with them."""

    url: str
    valkey_url: str
    nats_url: str
    folder: Path


_BEGAN_S = time.monotonic()


def note(what: str) -> None:
    """Say what has been done, and when."""
    print(f"  {time.monotonic() - _BEGAN_S:4.0f} s  {what}", flush=True)


@contextlib.contextmanager
def servers(accounts: int) -> Iterator[Place]:
    """Servers with a seeded database, on their core; so is all that is started in the block."""
    os.sched_setaffinity(0, OTHER_CORE)
    with (
        postgres_server({"shared_buffers": "1GB", "max_wal_size": "8GB"}) as postgres,
        valkey_server() as cache,
        nats_server() as nats,
        private_folder("social-bench-") as folder,
    ):
        url = new_database(postgres.url)
        size = ("--accounts", f"{accounts}", "--follows", "30", "--statuses", f"{10 * accounts}")
        for arguments in (("migrate",), ("seed", *size)):
            done = command(url, *arguments, SEED_TOKEN=SEED_TOKEN)
            if done.returncode:
                raise SystemExit(done.stderr)
        note(f"{accounts:,} accounts seeded")
        yield Place(url, cache.url, nats.url, folder)


@contextlib.contextmanager
def service(place: Place, **env: str) -> Iterator[GranianService]:
    """The service on its core."""
    settings = {"DATABASE_URL": place.url, "VALKEY_URL": place.valkey_url,
                "NATS_URL": place.nats_url, "LOG_LEVEL": "warning", **env}  # fmt: skip
    os.sched_setaffinity(0, SERVICE_CORE)
    with granian_service("social.app:app", settings) as running:
        os.sched_setaffinity(0, OTHER_CORE)
        yield running


class Connection:
    """The least of HTTP/1.1: one request after the other."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, token: str, body: bytes = b"") -> bytes:
        """The body of an answer, which has to be 200."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        content = await reader.readexactly(length)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{method} {path}: {answer.decode()}{content[:300]!r}")
        return content


class Took(msgspec.Struct, frozen=True):
    """Of one post: when it was acknowledged, and when it was in the last home, in seconds."""

    acknowledged_s: float
    visible_s: float = float("nan")


class _Status(msgspec.Struct):
    id: str


_decode = msgspec.json.Decoder(_Status).decode
_decode_page = msgspec.json.Decoder(list[_Status]).decode


class Poster:
    """Posts as authors, over one connection, and looks for the posts as their followers."""

    def __init__(self, port: int) -> None:
        self._connection = Connection(port)
        self._count = 0

    async def post(self, author: Followed) -> tuple[int, float]:
        """The id of a new post and how long its answer took, in seconds."""
        self._count += 1
        body = b'{"status": "Something to say, number %d"}' % self._count
        began_s = time.perf_counter()
        answer = await self._connection.call("POST", "/api/v1/statuses", author.token, body)
        return int(_decode(answer).id), time.perf_counter() - began_s

    async def visible(self, author: Followed, watch: Watch | None) -> Took:
        """A post, until the last follower has read it; with `watch` all others have it then."""
        began_s = time.perf_counter()
        status, acknowledged_s = await self.post(author)
        if watch is not None:
            await watch.wait(status, timeout_s=_TIMEOUT_S)
        token = author.tokens[author.followers[-1]]
        while True:
            page = await self._connection.call("GET", "/api/v1/timelines/home?limit=20", token)
            if any(int(one.id) == status for one in _decode_page(page)):
                return Took(acknowledged_s, time.perf_counter() - began_s)
            if time.perf_counter() - began_s > _TIMEOUT_S:
                raise SystemExit(f"{status} is not at home after {_TIMEOUT_S} s")


def figures(values_s: Sequence[float]) -> str:
    """Median and p99 in milliseconds, as two cells."""
    p50, p99 = np.quantile(values_s, [0.5, 0.99])
    return f"{1000 * p50:,.1f} | {1000 * p99:,.1f}"


def line(what: str, followers: int, took: Sequence[Took]) -> str:
    """A row of a table."""
    visible = [one.visible_s for one in took if one.visible_s == one.visible_s]
    return (
        f"| {what} | {followers:,} | {len(took):,} | {figures([t.acknowledged_s for t in took])} |"
        f" {figures(visible)} |"
    )


HEAD = [
    "| posts | followers | number | answered, p50 ms | p99 | in the last home, p50 ms | p99 |",
    "|---|---|---|---|---|---|---|",
]


async def post_every(seconds: float, poster: Poster, author: Followed) -> None:
    """Until cancelled: what the author posts is part of what the service has to carry."""
    while True:
        await poster.post(author)
        await asyncio.sleep(seconds)


async def post_under(
    mix: Mix,
    rate: float,
    poster: Poster,
    author: Followed,
    watch: Watch | None,
    options: argparse.Namespace,
) -> tuple[list[Took], Carried]:
    """Posts while that load goes on."""
    chance = random.Random(1)
    began_s = time.monotonic()
    under = asyncio.create_task(mix.run(OpenLoad(rate_per_s=rate), options.seconds))
    await asyncio.sleep(1.0)
    took = []
    while time.monotonic() - began_s < options.seconds - 2 * options.every:
        next_s = time.monotonic() + options.every * chance.uniform(0.7, 1.3)
        took.append(await poster.visible(author, watch))
        await asyncio.sleep(max(0.0, next_s - time.monotonic()))
    return took, await under


async def capacity_per_s(
    mix: Mix, port: int, author: Followed, options: argparse.Namespace
) -> float:
    """What the service carries of the mix beside the author's posts."""
    posting = asyncio.create_task(post_every(options.every, Poster(port), author))
    try:
        return await mix.capacity_per_s(options.ramp)
    finally:
        posting.cancel()


async def stretches(
    mix: Mix, port: int, author: Followed, watch: Watch | None, options: argparse.Namespace
) -> tuple[list[Took], str]:
    """Posts at 80 % of the capacity: of the stretches between two looks at it, those in which it
    stayed what it was, for a machine that others use may halve it at any time."""
    kept: list[tuple[list[Took], Carried]] = []
    shares: list[float] = []
    poster = Poster(port)
    before = await capacity_per_s(mix, port, author, options)
    while len(kept) < options.stretches and len(shares) < STRETCHES_MAX * options.stretches:
        took, carried = await post_under(mix, SHARE * before, poster, author, watch, options)
        after = await capacity_per_s(mix, port, author, options)
        shares.append(carried.asked_per_s / ((before + after) / 2))
        if abs(shares[-1] - SHARE) <= SHARE_OFF_MAX:
            kept.append((took, carried))
        note(f"a stretch at {shares[-1]:.0%} of the capacity, {len(kept)} kept")
        before = after
    if not kept:
        raise SystemExit("the capacity changed during every stretch: try when the machine is quiet")
    rates = sorted(carried.asked_per_s for _, carried in kept)
    p99s = sorted(1000 * carried.p99_s for _, carried in kept)
    return [one for took, _ in kept for one in took], (
        f"{len(kept)} of {len(shares)} stretches of {options.seconds:.0f} s in which the capacity"
        f" stayed, at {rates[0]:,.0f} to {rates[-1]:,.0f} operations/s of the mix; its own p99"
        f" {p99s[0]:.0f} to {p99s[-1]:.0f} ms, {sum(one.errors for _, one in kept)} failed"
    )


async def load_one_way(
    place: Place, port: int, author: Followed, options: argparse.Namespace, *, held: bool
) -> tuple[list[Took], list[Took], str]:
    """Posts alone, and under load; `held`: homes hold them, so all of them are looked at."""
    cache = await valkey.connect(place.valkey_url, name="bench", timeout_s=5.0)
    await make_homes(place.url, cache, author.followers)
    note("homes of the followers made")
    watch = Watch(cache, author.followers) if held else None
    poster = Poster(port)
    quiet = [await poster.visible(author, watch) for _ in range(options.quiet)]
    note("posted without other load")
    async with mix_on(port, place.url, place.folder, options.accounts) as mix:
        note("everybody signed in")
        took, said = await stretches(mix, port, author, watch, options)
    await cache.close()
    return quiet, took, said


def measure_load(options: argparse.Namespace) -> tuple[list[str], str]:
    """The table of `load`, and what is to be said of it."""
    rows, said = [], ""
    size = options.followers
    with servers(options.accounts) as place:
        for number, (fanout, held) in enumerate({"write": True, "hybrid": False}.items(), start=1):
            author = followed(
                place.url,
                f"followed{number}",
                number,
                followers=size,
                others=options.others,
                pulled=not held,
            )
            with service(place, FANOUT=fanout) as running:
                quiet, took, so = asyncio.run(
                    load_one_way(place, running.port, author, options, held=held)
                )
            rows.append(line(f"`FANOUT={fanout}`, alone", size, quiet))
            rows.append(line(f"`FANOUT={fanout}`, at {SHARE:.0%} of capacity", size, took))
            said += f" `FANOUT={fanout}`: {so}."
    return [*HEAD, *rows], said.strip()


def ratio(rounds: Sequence[tuple[list[float], list[float]]], quantile: float) -> str:
    """B over A, with the interval that drawing rounds again gives (bootstrap, 90 %)."""

    def of(drawn: Sequence[tuple[list[float], list[float]]]) -> float:
        ours, theirs = (np.concatenate([one[i] for one in drawn]) for i in (0, 1))
        return float(np.quantile(theirs, quantile) / np.quantile(ours, quantile))

    chance = random.Random(1)
    again = [of(chance.choices(rounds, k=len(rounds))) for _ in range(500)]
    low, high = np.quantile(again, [0.05, 0.95])
    return f"{of(rounds):.2f} ({low:.2f} to {high:.2f})"


async def in_turns(
    poster: Poster, ours: Followed, theirs: Followed, options: argparse.Namespace
) -> tuple[list[Took], list[Took], str]:
    """A B B A, so many rounds; the last post of each turn is looked for at home."""
    took: tuple[list[Took], list[Took]] = ([], [])
    rounds = []
    for number in range(options.rounds + 1):
        mine: tuple[list[float], list[float]] = ([], [])
        for turn in (0, 1, 1, 0):
            author = (ours, theirs)[turn]
            found = [Took((await poster.post(author))[1]) for _ in range(options.posts)]
            found.append(await poster.visible(author, None))
            if number:  # The first round is for getting warm.
                took[turn].extend(found)
                mine[turn].extend(one.acknowledged_s for one in found)
        if number:
            rounds.append(mine)
    return *took, f"B over A: p50 × {ratio(rounds, 0.5)}, p99 × {ratio(rounds, 0.99)}"


def measure_celebrity(options: argparse.Namespace) -> tuple[list[str], str]:
    """The table of `celebrity`, and what is to be said of it."""
    with servers(options.accounts) as place:
        ours = followed(place.url, "ordinary", 1, followers=10, others=options.others)
        theirs = followed(place.url, "celebrity", 2, followers=options.celebrity, pulled=True)
        note(f"{options.celebrity:,} followers made")
        many = followed(
            place.url, "followed", 3, followers=options.followers, others=options.others
        )

        async def homes(cache: GlideClient) -> None:
            for author in (ours, many):
                await make_homes(place.url, cache, author.followers)

        async def hybrid(port: int) -> tuple[list[Took], list[Took], str]:
            cache = await valkey.connect(place.valkey_url, name="bench", timeout_s=5.0)
            await homes(cache)
            found = await in_turns(Poster(port), ours, theirs, options)
            await cache.close()
            return found

        async def write(port: int) -> list[Took]:
            cache = await valkey.connect(place.valkey_url, name="bench", timeout_s=5.0)
            watch, poster = Watch(cache, many.followers), Poster(port)
            took = [await poster.visible(many, watch) for _ in range(options.quiet)]
            await cache.close()
            return took

        with service(place, FANOUT="hybrid") as running:
            few, million, said = asyncio.run(hybrid(running.port))
        note("posted in turns")
        with service(place, FANOUT="write") as running:
            written = asyncio.run(write(running.port))
    return [
        *HEAD,
        line("A, `FANOUT=hybrid`", 10, few),
        line("B, `FANOUT=hybrid`", options.celebrity, million),
        line("`FANOUT=write`", options.followers, written),
    ], f"{said}."


PARTS = {"load": measure_load, "celebrity": measure_celebrity}
QUICK = {"accounts": 1_000, "others": 10, "seconds": 9.0, "stretches": 1, "every": 1.0,
         "ramp": 1.5, "quiet": 10, "rounds": 4, "celebrity": 100_000}  # fmt: skip


def main() -> None:
    """Measure, print, and with --write put it into README.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--accounts", type=int, default=5_000)
    parser.add_argument("--followers", type=int, default=10_000)
    parser.add_argument("--others", type=int, default=30, help="whom else each follower follows")
    parser.add_argument("--celebrity", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="of load at 80 %%, a stretch")
    parser.add_argument("--stretches", type=int, default=3, help="in which the capacity stays")
    parser.add_argument("--every", type=float, default=1.5, help="seconds between posts under load")
    parser.add_argument("--ramp", type=float, default=5.0, help="seconds of each step")
    parser.add_argument("--quiet", type=int, default=100, help="posts without any other load")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--posts", type=int, default=25, help="of each turn")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.quick:
        vars(options).update(QUICK)
        if options.write:
            raise SystemExit("what --quick measures is not for README.md")
    busy = os.getloadavg()[0]
    table, said = PARTS[options.part](options)
    said = (
        f"{datetime.date.today()}, {os.cpu_count()} cores; load average before {busy:.1f};"
        f" {time.monotonic() - _BEGAN_S:.0f} s. {said}"
    )
    print("\n".join([*table, said]))
    if options.write:
        readme.write(f"<!-- measured: written by bench/fanout.py {options.part} -->", said, table)


if __name__ == "__main__":
    main()
