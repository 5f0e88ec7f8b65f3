"""What a redirect costs: CPU time of the service's own processes, saturated, under every knob.

    python bench/redirects.py [--connections 16 64] [--seconds 4] [--links 100000] [--write]

Needs `wrk` on the PATH and the `testing` extra. For each combination of REDIRECT_CACHE and VISITS
it starts the service (one worker) on embedded servers and drives redirects whose codes are drawn
by Zipf's law, exponent 1.0, over all links. The CPU is counted until the last visit is in the
database, so that work put off is work paid for. A bare Litestar redirect runs beside it. wrk and
the servers share the machine with the service, so the rates are of the whole box.

Then the defaults are driven at 80 % of what they did saturated, while clicks on links of their own
are followed until they are counted. With KUTT_DIR set to a checkout of Kutt's server, that runs
too, on the same PostgreSQL and a Valkey. It takes about 5 minutes. With --write the table and the
sentence take the place of those in README.md, with the day, the machine and how busy it was.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import nats
from kutt import KuttError, KuttService, checkout, kutt_service
from shortener.recording import STREAM
from shortener.seed import code_of, long_url_of
from shortener.testing import API_KEY, Shortener, command, new_database, start_shortener
from systems_common.testing import (
    GranianService,
    cpu_s,
    granian_service,
    machine,
    others_busy_cores,
    postgres_server,
    private_folder,
    valkey_server,
    wait_until,
    write_block,
)

BARE = """
from litestar import Litestar, get
from litestar.response import Response

@get("/{code:str}", status_code=302)
async def follow(code: str) -> Response[None]:
    return Response(None, status_code=302, headers={"location": "https://example.com/articles/1"})

@get("/health", status_code=200)
async def health() -> str:
    return "pass"

app = Litestar([follow, health])
"""

REQUESTS = """
local requests, next = {}, 0
for path in io.lines(os.getenv("CODES")) do
  requests[#requests + 1] = wrk.format("GET", path)
end
request = function()
  next = next % #requests + 1
  return requests[next]
end
local pause_ms = tonumber(os.getenv("PAUSE_MS"))
if pause_ms then
  -- Never the same, or all connections would ask at once.
  delay = function() return math.random(0, 2 * pause_ms) end
end
wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
"""

README = Path(__file__).resolve().parents[1] / "README.md"
HEAD = """\
| `VISITS` | `REDIRECT_CACHE` | connections | redirects/s | CPU µs | p99 | failed | drained in |
|---|---|---|---|---|---|---|---|"""


class Result(msgspec.Struct, frozen=True):
    """One run. `cpu_us` is per request; `drained_s` from the end of the load to the last visit."""

    rate_per_s: float
    cpu_us: float
    p99: str
    failed: int
    drained_s: float


def write_codes(file: Path, links: int, count: int = 300_000) -> None:
    """Draw codes by Zipf's law in a scattered order."""
    chance = random.Random(1)
    scattered = list(range(links))
    chance.shuffle(scattered)
    weights = list(itertools.accumulate(1 / rank for rank in range(1, links + 1)))
    numbers = (
        scattered[bisect.bisect_left(weights, chance.random() * weights[-1])] for _ in range(count)
    )
    file.write_text("".join(f"/{code_of(number)}\n" for number in numbers))


def drive(url: str, folder: Path, connections: int, seconds: float, *, pause_ms: str = "") -> str:
    """Run wrk; returns what it printed. Each connection pauses so long between two requests."""
    script = str(folder / "requests.lua")
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", script, url],
        env={**os.environ, "CODES": str(folder / "codes"), "PAUSE_MS": pause_ms},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def measure(
    service: GranianService | KuttService,
    folder: Path,
    connections: int,
    seconds: float,
    shortener: Shortener | None,
) -> Result:
    """Warm up, drive, wait until the visits are stored."""
    drive(service.url, folder, connections, 2)
    drain(shortener)
    pids = [*service.worker_pids]
    before = cpu_s(pids)
    output = drive(service.url, folder, connections, seconds)
    ended = time.monotonic()
    drain(shortener)
    drained_s = time.monotonic() - ended
    requests = int(re.findall(r"(\d+) requests in", output)[0])
    p99 = re.findall(r"^\s+99%\s+(\S+)", output, re.MULTILINE)[0]
    failed = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", output)))
    used_s = cpu_s(pids) - before
    return Result(requests / seconds, used_s / requests * 1e6, p99, failed, drained_s)


def counted_after_s(running: Shortener) -> float:
    """Seconds from a click on a new link until it is counted."""
    code = running.code()
    began_s = time.monotonic()
    if running.client.get(f"/{code}").status_code != 302:
        raise RuntimeError(f"/{code} did not redirect")
    while running.total(code) == 0:
        # Asked more often, these questions would be a part of the load.
        time.sleep(0.05)
    return time.monotonic() - began_s


def measure_counting(running: Shortener, folder: Path, capacity_per_s: float) -> str:
    """Follow clicks until they are counted, at 80 % of the capacity; a sentence with figures."""
    connections, seconds = 64, 10.0
    target_per_s = 0.8 * capacity_per_s

    def paced(pause_s: float, for_s: float) -> float:
        # wrk knows whole milliseconds only, so the longest of the pauses that it draws is told.
        pause_ms = str(max(0.5, round(pause_s * 2000) / 2))
        printed = drive(running.process.url, folder, connections, for_s, pause_ms=pause_ms)
        return int(re.findall(r"(\d+) requests in", printed)[0]) / for_s

    def followed(pause_s: float, for_s: float) -> tuple[float, list[float]]:
        """The rate that was driven meanwhile, and what each click took."""
        with ThreadPoolExecutor(1) as pool:
            driving = pool.submit(paced, pause_s, for_s)
            waits_s = []
            while not driving.done():
                waits_s.append(counted_after_s(running))
            return driving.result(), waits_s

    # A connection asks once in its pause and the response time, which tries tell.
    pause_s = connections / target_per_s
    for _ in range(8):
        tried_per_s, _ = followed(pause_s, 3.0)
        if abs(tried_per_s / target_per_s - 1) < 0.03:
            break
        pause_s = max(0.001, pause_s + connections / target_per_s - connections / tried_per_s)
    rate_per_s, waits_s = followed(pause_s, seconds)
    share = rate_per_s / capacity_per_s
    waits_s.sort()
    return (
        f"at {rate_per_s:,.0f} redirects/s, {share:.0%} of {capacity_per_s:,.0f}/s, "
        f"{len(waits_s)} clicks were counted after {waits_s[len(waits_s) // 2]:.2f} s in the "
        f"median, {waits_s[-1]:.2f} s at most"
    )


def drain(shortener: Shortener | None) -> None:
    """Wait until no visit waits in the stream."""
    if shortener is not None:
        wait_until(
            lambda: asyncio.run(waiting(shortener.nats.url)) == 0, timeout_s=60, what="visits"
        )


async def waiting(url: str) -> int:
    """How many messages wait."""
    client = await nats.connect(url)
    info = await client.jetstream().stream_info(STREAM)
    await client.close()
    return int(info.state.messages)


@contextmanager
def seeded(links: int) -> Iterator[tuple[str, str]]:
    """A PostgreSQL server and the name of a database on it to copy."""
    with postgres_server({"shared_buffers": "256MB"}) as server:
        url = new_database(server.url)
        for arguments in (("migrate",), ("seed", "--links", str(links))):
            done = command(url, *arguments, SEED_API_KEY=API_KEY)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
        yield server.url, url.rpartition("/")[2]


def main() -> int:
    """Run the combinations and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--links", type=int, default=100_000)
    parser.add_argument("--visits", nargs="+", default=["batch", "sync", "slotted"])
    parser.add_argument("--caches", nargs="+", default=["local", "valkey", "off"])
    parser.add_argument("--write", action="store_true", help="put what is found into README.md")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is not installed", file=sys.stderr)
        return 2
    try:
        kutt = checkout()
    except KuttError as error:
        print(error, file=sys.stderr)
        return 2
    capacity_per_s = 0.0
    counting = "a click was not followed until it was counted"
    found: list[str] = []
    busy_before = others_busy_cores()
    print("visits cache   connections  redirects/s  CPU µs each      p99  failed  drained after")
    with ExitStack() as stack:
        folder = stack.enter_context(private_folder("shortener-bench-"))
        (folder / "requests.lua").write_text(REQUESTS)
        (folder / "bare_litestar.py").write_text(textwrap.dedent(BARE))
        write_codes(folder / "codes", options.links)
        sys.path.append(str(folder))
        server_url, template = stack.enter_context(seeded(options.links))
        with granian_service("bare_litestar:app", {}) as bare:
            for connections in options.connections:
                result = measure(bare, folder, connections, options.seconds, None)
                found += show("(bare)", "-", connections, result)
        for visits, cache in itertools.product(options.visits, options.caches):
            with start_shortener(
                server_url, template, VISITS=visits, REDIRECT_CACHE=cache, DB_POOL="10"
            ) as running:
                for connections in options.connections:
                    result = measure(running.process, folder, connections, options.seconds, running)
                    found += show(visits, cache, connections, result)
                    if (visits, cache) == ("batch", "local"):
                        capacity_per_s = max(capacity_per_s, result.rate_per_s)
                if capacity_per_s and (visits, cache) == ("batch", "local"):
                    counting = measure_counting(running, folder, capacity_per_s)
                    print(counting, flush=True)
                    drain(running)
                running.assert_no_drift()
        if kutt is not None:
            valkey = stack.enter_context(valkey_server())
            links = {code_of(number): long_url_of(number) for number in range(options.links)}
            with kutt_service(kutt, server_url, valkey.url, links, folder / "kutt.log") as peer:
                for connections in options.connections:
                    result = measure(peer, folder, connections, options.seconds, None)
                    found += show("(Kutt)", "-", connections, result)
    if options.write:
        said = f"{machine()}; before it began others kept {busy_before:.1f} cores busy."
        counted = textwrap.fill(f"With the defaults, {counting}.", 120)
        text = "\n\n".join([said, "\n".join([HEAD, *found]), counted])
        write_block(README, "bench/redirects.py", text)
    return 0


def show(visits: str, cache: str, connections: int, result: Result) -> list[str]:
    """Print one line of the table; returns it as a row of README's."""
    print(
        f"{visits:6} {cache:7} {connections:11} {result.rate_per_s:12,.0f} {result.cpu_us:12.0f} "
        f"{result.p99:>8} {result.failed:7} {result.drained_s:12.1f} s",
        flush=True,
    )
    cells = (
        visits,
        cache,
        str(connections),
        f"{result.rate_per_s:,.0f}",
        f"{result.cpu_us:.0f}",
        result.p99,
        str(result.failed),
        f"{result.drained_s:.1f} s",
    )
    return [f"| {' | '.join(cells)} |"]


if __name__ == "__main__":
    sys.exit(main())
