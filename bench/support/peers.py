"""Other load tools, run as their own users would run them: CPU a request, and what they report."""

from __future__ import annotations

import asyncio
import csv
import json
import re
import resource
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
HOME = CHECKOUT / ".bench" / "peers"
PINNED = CHECKOUT / "bench" / "peers.txt"

_LOCUST = """
from locust import FastHttpUser, constant_throughput, task


class Visitor(FastHttpUser):
    {wait}

    @task
    def visit(self):
        self.client.get("/")
"""


@dataclass(frozen=True)
class Ran:
    """What a peer's run came to: requests, its CPU seconds, the p99 that it reports."""

    requests: int
    cpu_s: float
    p99_s: float | None = None
    corrected_p99_s: float | None = None


def install(home: Path = HOME, pinned: Path = PINNED) -> None:
    """Make an environment with the pinned peers, unless it is there."""
    stamp = home / pinned.read_text().replace("\n", " ").encode().hex()[-40:]
    if stamp.exists():
        return
    print(f"installing the peers of {pinned.name}", file=sys.stderr)
    venv.create(home, with_pip=True, clear=True)
    subprocess.run(
        [str(home / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "-r", pinned],
        check=True,
    )
    stamp.touch()


def versions() -> dict[str, str]:
    """The peers and their versions."""
    found = dict(re.findall(r"^([\w-]+)==(\S+)", PINNED.read_text(), re.M))
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    wrk = re.search(r"wrk (?:debian/)?([\d.]+)", said)
    return {
        "wrk": wrk[1] if wrk else "unknown",
        "k9-load": found["k9-load"],
        "Locust": found["locust"],
    }


async def wrk(port: int, connections: int, seconds: float, scheme: str = "http") -> Ran:
    """One thread of wrk, saturated."""
    assert shutil.which("wrk")
    out, cpu_s = await _run(
        "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}", "--latency",
        f"{scheme}://localhost:{port}/",
    )  # fmt: skip
    found = re.search(r"(\d+) requests in", out)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    assert found is not None and p99 is not None, out
    return Ran(int(found[1]), cpu_s, float(p99[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[p99[2]])


async def k9_plan(port: int, connections: int, seconds: float, folder: Path) -> Ran:
    """k9's declarative plan, saturated: no Python runs in it."""
    options = {"vus": connections, "duration": f"{seconds:g}s"}
    return await _k9(_plan(options, port), folder)


async def k9_script(port: int, connections: int, seconds: float, folder: Path) -> Ran:
    """k9's Python script of two steps that reads JSON, saturated; counts requests."""
    script = folder / "k9_script.py"
    script.write_text(
        f"import k9\n\noptions = {{'vus': {connections}, 'duration': '{seconds:g}s'}}\n\n"
        "async def default():\n"
        f"    reply = await k9.http.get('http://127.0.0.1:{port}/json')\n"
        f"    await k9.http.get('http://127.0.0.1:{port}/' + reply.json()['id'])\n"
    )
    return await _k9(script, folder)


async def k9_rate(port: int, rate: int, seconds: float, folder: Path) -> Ran:
    """k9's declarative plan at a constant rate of arrivals."""
    scenario = {
        "executor": "constant-arrival-rate",
        "rate": rate,
        "timeUnit": "1s",
        "duration": f"{seconds:g}s",
        "preAllocatedVUs": 256,
        "gracefulStop": "3s",
    }
    return await _k9(_plan({"scenarios": {"it": scenario}}, port), folder)


async def locust(port: int, users: int, seconds: float, folder: Path, rate: float = 0) -> Ran:
    """One process of Locust with FastHttpUser; saturated, or all users together at a rate."""
    wait = f"wait_time = constant_throughput({rate / users})" if rate else ""
    script = folder / "locustfile.py"
    script.write_text(_LOCUST.format(wait=wait))
    _, cpu_s = await _run(
        str(HOME / "bin/locust"), "-f", str(script), "--headless", "-u", str(users),
        "-r", str(users), "-t", f"{max(1, round(seconds))}s", "--csv", str(folder / "locust"),
        "--host", f"http://127.0.0.1:{port}", "--only-summary",
    )  # fmt: skip
    with (folder / "locust_stats.csv").open() as file:
        (total,) = [row for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
    return Ran(int(total["Request Count"]), cpu_s, float(total["99%"]) / 1000)


def _plan(options: dict[str, object], port: int) -> dict[str, object]:
    request = {"request": {"url": f"http://127.0.0.1:{port}/"}}
    return {"options": options, "flows": {"default": [request]}}


async def _k9(plan: dict[str, object] | Path, folder: Path) -> Ran:
    if isinstance(plan, dict):
        path = folder / "k9.json"
        path.write_text(json.dumps(plan))
    else:
        path = plan
    export = folder / "k9_summary.json"
    _, cpu_s = await _run(
        str(HOME / "bin/k9"), "run", str(path), "--quiet", "--discard-response-bodies"
        if isinstance(plan, dict) else "--no-color",
        "--summary-export", str(export), "--summary-trend-stats", "p(99)",
    )  # fmt: skip
    metrics = json.loads(export.read_text())["metrics"]
    corrected = metrics.get("iteration_duration_corrected", {}).get("p(99)")
    return Ran(
        int(metrics["http_reqs"]["count"]),
        cpu_s,
        metrics["http_req_duration"]["p(99)"] / 1000,
        None if corrected is None else corrected / 1000,
    )


async def _run(*command: str) -> tuple[str, float]:
    """What it printed, and the CPU seconds of it and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if process.returncode not in (0, 99):
        raise SystemExit(f"{command[0]} ended in {process.returncode}:\n{out.decode()[-2000:]}")
    return out.decode(), cpu_s
