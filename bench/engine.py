"""What a request costs the load engine, and how well it keeps its schedule.

    python bench/engine.py [--rounds N] [--seconds S]

Needs nginx and wrk (Debian: `nginx-light` and `wrk`). A private nginx answers from memory; wrk and
the engine drive it in turns, round by round, so that what else the machine does falls on both
alike. The figures are medians over the rounds. How well a schedule is kept says something of the
engine only while nothing else wants the cores, so a stretch in which others took more than 5 % of
one is repeated, up to three times. Exit status 1: a figure missed what the project asks of it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from loadpath.deploy import Guard
from loadpath.drive import ClosedLoad, Engine, EnginePlan, OpenLoad, Segment, SegmentResult
from loadpath.recording.schema import REQUESTS
from loadpath.recording.tables import read_table
from loadpath.spec import DeclaredRequest, OpenArrivals, Operation, Workload

CONNECTIONS = 50
OTHERS_MAX = 0.05  # of a core
TRIES = 4

NGINX = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ default_type text/plain; return 200 "hello, world\\n"; }}
    location /json {{
      default_type application/json;
      return 200 '{{"id":"abc123","url":"https://example.com/somewhere","visits":5}}';
    }}
  }}
}}
"""

FLOWS = """
from loadpath.flow import get, operation


@operation("two steps")
def two_steps(state):
    reply = yield get("/json")
    if reply.ok:
        yield get("/" + reply.json()["id"])
"""


@dataclass
class Figure:
    """One line of the table: what was measured in each round, and what is asked of it."""

    name: str
    unit: str
    target: float | None = None
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def line(self) -> str:
        spread = f"{min(self.values):.4g} to {max(self.values):.4g}"
        asked = "" if self.target is None else f"<= {self.target:g}"
        missed = self.target is not None and self.median > self.target
        verdict = "" if self.target is None else ("missed" if missed else "met")
        return f"{self.name:48} {self.median:8.4g} {self.unit:3} {spread:20} {asked:8} {verdict}"


class Bench:
    """The figures, and the engines that are measured."""

    def __init__(self, port: int, folder: Path, seconds: float) -> None:
        self.port = port
        self.folder = folder
        self.seconds = seconds
        self.figures: dict[str, Figure] = {}
        self.nginx: list[int] = []
        self.others: list[float] = []
        self._segments = 0

    def note(self, name: str, unit: str, value: float, target: float | None = None) -> None:
        self.figures.setdefault(name, Figure(name, unit, target)).values.append(value)

    def plan(self, operation: Operation, timer: str = "us", connections: int = 50) -> EnginePlan:
        flows = self.folder / "workload.py"
        flows.write_text(FLOWS)
        return EnginePlan(
            host="127.0.0.1",
            port=self.port,
            workload=Workload(arrivals=OpenArrivals(1.0), operations=(operation,), flows=flows),
            timer=timer,  # type: ignore[arg-type]
            connections_max=connections,
        )

    async def run(
        self,
        engine: Engine,
        load: OpenLoad | ClosedLoad,
        seconds: float | None = None,
        on_progress: Callable[[object], None] | None = None,
    ) -> tuple[SegmentResult, dict[str, np.ndarray]]:
        path = self.folder / f"{self._segments}.parquet"
        self._segments += 1
        segment = Segment(
            index=self._segments,
            purpose="bench",
            load=load,
            duration_s=seconds or self.seconds,
            requests_path=path,
        )
        result = await engine.run(segment, on_progress)
        rows = read_table(path, REQUESTS)
        path.unlink()
        return result, rows


async def wrk(bench: Bench) -> None:
    """CPU per request of wrk, saturated."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = await asyncio.create_subprocess_exec(
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{max(1, round(bench.seconds))}",
        f"http://127.0.0.1:{bench.port}/",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = re.search(rb"(\d+) requests in", out)
    assert found is not None, out.decode()
    bench.note("wrk, CPU a request, saturated", "us", cpu_s / int(found[1]) * 1e6)


async def saturated(bench: Bench, engine: Engine, name: str, target: float) -> None:
    """CPU per request of the engine, saturated, rows on."""
    result, rows = await bench.run(engine, ClosedLoad(users=CONNECTIONS, think_time_s=0))
    assert result.errors == 0, result.first_errors
    bench.note(
        f"{name}, CPU a request, saturated",
        "us",
        result.engine_cpu_s / len(rows["flow"]) * 1e6,
        target,
    )


async def schedule(bench: Bench, engine: Engine, timer: str, rate: float) -> None:
    """Slip, and CPU per request, at a rate, from the least disturbed of some tries."""
    least = float("inf")
    for _ in range(TRIES):
        ours = [os.getpid(), engine.pid, *bench.nginx]
        before_s, before_at = busy_s() - cpu_s(ours), time.monotonic()
        ran = await bench.run(engine, OpenLoad(rate_per_s=rate))
        others = (busy_s() - cpu_s(ours) - before_s) / (time.monotonic() - before_at)
        if others < least:
            least, (result, rows) = others, ran
        if others <= OTHERS_MAX:
            break
    bench.others.append(least)
    slip = (rows["sent_s"] - rows["intended_s"])[rows["blocked"] != 1] * 1e6
    asked = timer == "us" and rate == 3000
    name = f"{timer} timer, {rate:,.0f}/s"
    p50, p99 = np.quantile(slip, [0.5, 0.99])
    bench.note(f"{name}, slip p50", "us", float(p50), 60 if asked else None)
    bench.note(f"{name}, slip p99", "us", float(p99), 350 if asked else None)
    bench.note(f"{name}, CPU a request", "us", result.engine_cpu_s / result.arrivals * 1e6)


async def stopped(bench: Bench, engine: Engine, pids: list[int]) -> None:
    """The p99 of 8 s at 1,000/s with the server stopped for 1 s; the truth is 0.92 s."""
    loop = asyncio.get_running_loop()

    def send(sig: int) -> None:
        for pid in pids:
            os.kill(pid, sig)

    loop.call_later(3.0, send, signal.SIGSTOP)
    loop.call_later(4.0, send, signal.SIGCONT)
    load = OpenLoad(rate_per_s=1000, process="constant")
    result, rows = await bench.run(engine, load, seconds=8)
    response = rows["done_s"] - rows["intended_s"]
    assert result.arrivals == len(rows["flow"]) == 8000, "arrivals were dropped"
    off = abs(float(np.quantile(response, 0.99)) / 0.92 - 1) * 100
    bench.note("p99 with the server stopped, off the truth by", "%", off, 2)


def busy_s() -> float:
    """CPU seconds that all cores together have spent on anything, and lost to the hypervisor."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    user, nice, system, _, _, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def cpu_s(pids: list[int]) -> float:
    """CPU seconds that these processes have spent."""
    ticks = 0
    for pid in pids:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


async def wait_for_port(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise SystemExit("nginx did not listen within 4 s")


async def main(rounds: int, seconds: float) -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    async with Guard() as guard:
        folder = guard.make_folder()
        folder.chmod(0o755)
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
        binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "nginx"
        nginx = await guard.spawn([binary, "-c", str(folder / "nginx.conf")], name="nginx")
        await wait_for_port(port)
        bench = Bench(port, folder, seconds)
        bench.nginx = [nginx.pid, *children_of(nginx.pid)]
        get = Operation(name="get", request=DeclaredRequest(method="GET", path="/"))
        plans = {
            "declared": bench.plan(get),
            "flow": bench.plan(Operation(name="two steps")),
            "ms": bench.plan(get, timer="ms"),
            "stopped": bench.plan(get, connections=256),
        }
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            await wrk(bench)
            async with Engine(plans["declared"], spawn=guard.spawn) as engine:
                await saturated(bench, engine, "engine", 8)
                for rate in (1000, 3000):
                    await schedule(bench, engine, "us", rate)
            async with Engine(plans["flow"], spawn=guard.spawn) as engine:
                await saturated(bench, engine, "engine, flow of two steps that reads JSON", 12)
            async with Engine(plans["ms"], spawn=guard.spawn) as engine:
                for rate in (1000, 3000):
                    await schedule(bench, engine, "ms", rate)
        async with Engine(plans["stopped"], spawn=guard.spawn) as engine:
            await stopped(bench, engine, bench.nginx)
    peer, ours = (
        bench.figures[f"{name}, CPU a request, saturated"].values for name in ("wrk", "engine")
    )
    for one, other in zip(ours, peer, strict=True):
        bench.note("engine against wrk", "x", one / other, 1.75)
    figures = bench.figures.values()
    print(f"{'':48} {'median':>8} {'':3} {'rounds':20} {'asked':8}")
    print("\n".join(figure.line() for figure in figures))
    if max(bench.others) > OTHERS_MAX:
        print(
            f"disturbed: others took up to {max(bench.others):.2f} cores during schedules, "
            "which the slip then shows"
        )
    return int(any(f.target is not None and f.median > f.target for f in figures))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed, and nginx; on Debian: apt-get install nginx-light wrk")
    sys.exit(asyncio.run(main(options.rounds, options.seconds)))
