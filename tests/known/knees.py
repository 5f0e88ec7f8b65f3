"""Asks Loadpath for the knee of a service whose knee is known, and says whether it was right.

    python knees.py [--budget SECONDS] [--times N] [cpu] [pool] [outside]

What *right* means was laid down before the first run. The answer's state is `confirmed`, the true
knee lies within the stated interval widened by 10 %, the stated value within 15 % of the truth, and
the resource is the right one: of `cpu` the service's thread; of `pool` and `outside` a limit on
requests in service while the CPU is idle, its number within a quarter of 3 and 10. *Inconclusive*
is an answer that says so and why. Everything else is *wrong*.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from truth import knee_per_s  # noqa: E402 - it lies beside this file, which is run by its path

WIDENED = 0.10
VALUE_OFF_MAX = 0.15
COUNT_OFF_MAX = 0.25
CALIBRATED_S = 0.4
CALIBRATIONS = 5
REQUEST = b"GET / HTTP/1.1\r\nHost: known\r\n\r\n"


@dataclass(frozen=True)
class Known:
    """A service: so many `servers` at once, and its objective, p99 ≤ `limit_s`."""

    name: str
    servers: int
    limit_s: float
    resource: str


KNOWN = {
    known.name: known
    for known in (
        Known("cpu", 1, 0.050, "thread"),
        Known("pool", 3, 0.050, "limit"),
        Known("outside", 10, 0.100, "limit"),
    )
}


@dataclass(frozen=True)
class Outcome:
    """One run. `verdict` is right, inconclusive or wrong; `why` says why not right. Rates in 1/s,
    `took_s` in seconds; `stated` is the knee that the answer gives, with its interval."""

    service: str
    verdict: str
    why: str
    truth: float
    stated: tuple[float, float, float] | None
    resource: str
    claim: str
    took_s: float

    @property
    def line(self) -> str:
        """The outcome in one line."""
        stated = "no knee"
        if self.stated is not None:
            value, low, high = self.stated
            stated = f"{value:.0f}/s ({low:.0f} to {high:.0f})"
        said = f"{self.service}: {self.verdict}, said {stated}, true {self.truth:.0f}/s"
        return f"{said}, {self.took_s:.0f} s{'; ' + self.why if self.why else ''}"


@contextmanager
def folder_of(known: Known) -> Iterator[tuple[Path, list[str]]]:
    """A folder with the service, and the flags that tell Loadpath where its upstream is."""
    with tempfile.TemporaryDirectory(prefix="known-") as name:
        home = Path(name)
        home.chmod(0o755)
        shutil.copy(HERE / "service.py", home)
        shutil.copytree(
            HERE / known.name, home / known.name, ignore=shutil.ignore_patterns(".loadpath")
        )
        if known.name != "outside":
            yield home / known.name, []
            return
        with running(home, "upstream", 1, {}) as (port, _):
            address = f"127.0.0.1:{port}"
            flags = [f'service.peers=["{address}"]', f"service.env.UPSTREAM={address}"]
            yield home / known.name, [word for flag in flags for word in ("--set", flag)]


@contextmanager
def running(
    home: Path, manner: str, workers: int, env: dict[str, str]
) -> Iterator[tuple[int, int]]:
    """The service by itself; gives its port and its pid."""
    process = subprocess.Popen(
        [sys.executable, str(home / "service.py"), manner, "0", str(workers)],
        stdout=subprocess.PIPE,
        env={**os.environ, **env},
        text=True,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().split()[-1]), process.pid
    finally:
        process.terminate()
        process.wait()


def service_time_s(known: Known, home: Path, flags: Sequence[str]) -> float:
    """How long one request truly holds a server, measured with all of them busy.

    Of `cpu` by its CPU clock, which no other process disturbs; of the others by the most that came
    through in one of a few short windows, which a disturbance can only lower.
    """
    env = {"UPSTREAM": flags[-1].partition("=")[2]} if flags else {}
    with running(home.parent, known.name, 1, env) as (port, pid):
        best_s = float("inf")
        for _ in range(CALIBRATIONS):
            before_s, began_s = cpu_s(pid), time.monotonic()
            done = saturate(port, 4 * known.servers, CALIBRATED_S)
            took_s, used_s = time.monotonic() - began_s, cpu_s(pid) - before_s
            each_s = used_s if known.resource == "thread" else took_s * known.servers
            best_s = min(best_s, each_s / max(done, 1))
        return best_s


def cpu_s(pid: int) -> float:
    """CPU seconds of a process of one thread."""
    return int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[0]) / 1e9


def saturate(port: int, connections: int, seconds: float) -> int:
    """How many replies so many connections get in that time, each asking again at once."""
    counts = [0] * connections
    ends_s = time.monotonic() + seconds

    def ask(number: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while time.monotonic() < ends_s:
                connection.sendall(REQUEST)
                connection.recv(4096)
                counts[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def run(known: Known, *, loadpath: Sequence[str], budget_s: float) -> Outcome:
    """Ask once, and judge the answer."""
    with folder_of(known) as (home, flags):
        service_s = service_time_s(known, home, flags)
        began_s = time.monotonic()
        ended = subprocess.run(
            [*loadpath, "ask", "bottleneck", *flags, "--budget", str(budget_s), "-q", "--json"],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
        took_s = time.monotonic() - began_s
        # Before and after: whatever disturbs only makes it longer.
        service_s = min(service_s, service_time_s(known, home, flags))
    truth = knee_per_s(service_s, known.servers, known.limit_s)
    if ended.returncode not in (0, 1, 3):
        said = f"ended in {ended.returncode}: {ended.stderr.strip()[-300:]}"
        return Outcome(known.name, "wrong", said, truth, None, "", "", took_s)
    return judged(known, truth, json.loads(ended.stdout)["answers"][0], took_s)


def judged(known: Known, truth: float, answer: dict[str, Any], took_s: float) -> Outcome:
    """The outcome that an answer amounts to."""
    found = answer["measurement"]
    stated = (found["value"], found["low"], found["high"]) if found else None
    resource = answer["figures"].get("bottleneck") or {}
    outcome = Outcome(
        service=known.name,
        verdict="right",
        why="",
        truth=truth,
        stated=stated,
        resource=resource.get("name", ""),
        claim=answer["claim"],
        took_s=took_s,
    )
    if answer["state"] == "inconclusive":
        broken = [f"{c['name']}: {c['detail']}" for c in answer["validity"] if not c["passed"]]
        why = "; ".join(broken) or answer["claim"]
        return Outcome(**{**asdict(outcome), "verdict": "inconclusive", "why": why})
    faults = []
    if answer["state"] != "confirmed":
        faults.append(f"{answer['state']}: {answer['claim']}")
    if stated is None:
        faults.append("no knee")
    else:
        value, low, high = stated
        if not low * (1 - WIDENED) <= truth <= high * (1 + WIDENED):
            faults.append("the truth lies outside its interval")
        if abs(value / truth - 1) > VALUE_OFF_MAX:
            faults.append(f"{value / truth - 1:+.0%} off")
    if (resource.get("kind"), resource.get("part")) != (known.resource, "service"):
        faults.append(f"it names {resource.get('name')}")
    elif known.resource == "limit":
        count = (answer["figures"].get("in_service") or {}).get("requests", 0)
        if abs(count / known.servers - 1) > COUNT_OFF_MAX:
            faults.append(f"{count:.1f} in service instead of {known.servers}")
    if faults:
        return Outcome(**{**asdict(outcome), "verdict": "wrong", "why": "; ".join(faults)})
    return outcome


def main() -> int:
    """Run them in turn; ends in 1 when one was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("services", nargs="*", help="all unless said")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds a run may take (60)")
    parser.add_argument("--times", type=int, default=1, help="runs of each (1)")
    options = parser.parse_args()
    beside = Path(sys.executable).parent / "loadpath"
    outcomes = []
    for _ in range(options.times):
        for name in options.services or KNOWN:
            outcomes.append(run(KNOWN[name], loadpath=[str(beside)], budget_s=options.budget))
            print(outcomes[-1].line, flush=True)
    return 1 if any(outcome.verdict == "wrong" for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
