"""What a redirect costs: CPU time of the service's own processes, saturated, under every knob.

    python bench/redirects.py [--connections 16 64] [--seconds 4] [--links 100000]

Needs `wrk` on the PATH and the `testing` extra. For each combination of REDIRECT_CACHE and VISITS
it starts the service (one worker) on embedded servers and drives redirects whose codes are drawn
by Zipf's law, exponent 1.0, over all links. The CPU is counted until the last visit is in the
database, so that work put off is work paid for. A bare Litestar redirect runs beside it. wrk and
the servers share the machine with the service, so the rates are of the whole box.
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
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import nats
from shortener.recording import STREAM
from shortener.seed import code_of
from shortener.testing import Shortener, command, new_database, start_shortener
from systems_common.testing import (
    GranianService,
    granian_service,
    postgres_server,
    private_folder,
    wait_until,
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
wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
"""

_TICKS = os.sysconf("SC_CLK_TCK")


class Result(msgspec.Struct, frozen=True):
    """One run. `cpu_us` is per request; `drained_s` from the end of the load to the last visit."""

    rate_per_s: float
    cpu_us: float
    p99: str
    failed: int
    drained_s: float


def cpu_s(pids: list[int]) -> float:
    """CPU seconds that these processes and their reaped children have used."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(field) for field in fields[11:15])
    return total / _TICKS


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


def drive(url: str, folder: Path, connections: int, seconds: float) -> str:
    """Run wrk; returns what it printed."""
    script = str(folder / "requests.lua")
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", script, url],
        env={**os.environ, "CODES": str(folder / "codes")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def measure(
    service: GranianService,
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
            done = command(url, *arguments, SEED_API_KEY="bench")
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
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is not installed", file=sys.stderr)
        return 2
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
                show(
                    "(bare)",
                    "-",
                    connections,
                    measure(bare, folder, connections, options.seconds, None),
                )
        for visits, cache in itertools.product(options.visits, options.caches):
            with start_shortener(
                server_url, template, VISITS=visits, REDIRECT_CACHE=cache, DB_POOL="10"
            ) as running:
                for connections in options.connections:
                    result = measure(running.process, folder, connections, options.seconds, running)
                    show(visits, cache, connections, result)
                running.assert_no_drift()
    return 0


def show(visits: str, cache: str, connections: int, result: Result) -> None:
    """Print one line of the table."""
    print(
        f"{visits:6} {cache:7} {connections:11} {result.rate_per_s:12,.0f} {result.cpu_us:12.0f} "
        f"{result.p99:>8} {result.failed:7} {result.drained_s:12.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
