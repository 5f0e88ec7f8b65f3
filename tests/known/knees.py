"""Asks Loadpath for the knee of a service whose knee is known, and says whether it was right.

    python knees.py [--budget SECONDS] [--times N] [--record FILE] [--beside COMMAND] [cpu] [pool]
                    [outside] [database]

`--record` keeps each outcome as a line of JSON and leaves out what the file has already, so that an
interrupted series goes on where it was. `--beside` runs a command all the while, `burner` a busy
loop of its own: then the answer must also say what it took.

What *right* means: the answer's state is `confirmed`, the true knee lies within the stated
interval (widened by 5 %, for the truth is that of an ideal queue), the stated value within 15 % of
the truth, and the resource is the right one: of `cpu` the service's thread; of the others a limit
on requests in service while the CPU is idle, its number within a quarter of 3, 10 and 3, and named:
of `pool` on no wire, of `outside` calls to `payments`, of `database` the connections to `postgres`
(which may also be named as a pool that was full). *Inconclusive* is an answer that says so and why,
one that is only `predicted` because relief did not tell, and one whose interval is wider than
±35 %: no interval makes an answer right by being wide. Where every check held, an inconclusive
answer stands by its figures, and a knee that it states must be right; what a predicted one names as
well. Everything else is *wrong*.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from calibrate import running, served, service_time_at, service_time_s  # noqa: E402 - these lie beside this file
from truth import knee_per_s  # noqa: E402

WIDENED = 0.05
WIDTH_MAX = 0.35
VALUE_OFF_MAX = 0.15
COUNT_OFF_MAX = 0.25
TOOK = r"(other processes|the hypervisor) took (0\.[2-9]|[1-9])"
"""A disturber of one core must be told as a fifth of one at least."""


@dataclass(frozen=True)
class Known:
    """A service: so many `servers` at once, and its objective, p99 ≤ `limit_s`. What runs out is
    of one of the kinds `resource`, in that `part`, and has `named` in its name."""

    name: str
    servers: int
    limit_s: float
    resource: tuple[str, ...]
    part: str = "service"
    named: str = ""


KNOWN = {
    known.name: known
    for known in (
        Known("cpu", 1, 0.050, ("thread",)),
        Known("pool", 3, 0.050, ("limit",), named="inside the service, on no wire"),
        Known("outside", 10, 0.100, ("limit",), "payments", "at once to payments"),
        Known("database", 3, 0.050, ("pool", "limit"), "postgres", "3 connections to postgres"),
    )
}


@dataclass(frozen=True)
class Outcome:
    """One run. `verdict` is right, inconclusive or wrong; `why` says why not right. Rates in 1/s,
    `took_s` in seconds; `stated` is the knee that the answer gives, with its interval, and `width`
    half of that as a share of it."""

    service: str
    verdict: str
    why: str
    truth: float
    stated: tuple[float, float, float] | None
    resource: str
    claim: str
    took_s: float
    width: float | None = None

    @property
    def line(self) -> str:
        """The outcome in one line."""
        stated = "no knee"
        if self.stated is not None:
            value, low, high = self.stated
            stated = f"{value:.0f}/s ({low:.0f} to {high:.0f}, ±{self.width or 0.0:.0%})"
        said = f"{self.service}: {self.verdict}, said {stated}, true {self.truth:.0f}/s"
        return f"{said}, {self.took_s:.0f} s{'; ' + self.why if self.why else ''}"


@contextmanager
def folder_of(known: Known) -> Iterator[tuple[Path, str | None]]:
    """A folder with the service, and the address of the upstream that runs for it, if any does."""
    with tempfile.TemporaryDirectory(prefix="known-") as name:
        home = Path(name)
        home.chmod(0o755)
        shutil.copy(HERE / "service.py", home)
        shutil.copytree(
            HERE / known.name, home / known.name, ignore=shutil.ignore_patterns(".loadpath")
        )
        if known.name != "outside":
            yield home / known.name, None
            return
        with running(home, "upstream", 1, {}) as (port, _):
            yield home / known.name, f"127.0.0.1:{port}"


@contextmanager
def beside(command: str | None) -> Iterator[None]:
    """That command, running all the while; `burner` is a loop that takes all it gets of a core."""
    if command is None:
        yield
        return
    burner = [sys.executable, "-c", "while True: pass"]
    words = burner if command == "burner" else shlex.split(command)
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
        if process.poll() is not None:
            raise SystemExit(f"`{command}` ended by itself, in {process.returncode}")
    finally:
        # Its whole group: stress-ng does its work in children.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def with_python() -> dict[str, str]:
    """An environment in which `python` is the one that runs this: it has asyncpg."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(
    known: Known, *, loadpath: Sequence[str], budget_s: float, disturber: str | None = None
) -> Outcome:
    """Ask once, and judge the answer; with a disturber, also whether it says what that took."""
    with folder_of(known) as (home, upstream):
        env: dict[str, str] = {}
        flags: list[str] = []
        if upstream is not None:
            env = {"UPSTREAM": upstream}
            flags += ["--set", f"dependencies.payments.url=http://{upstream}"]

        def calibrated_s() -> float:
            if known.name == "database":
                with served(home, loadpath, with_python()) as port:
                    return service_time_at(port, known.servers)
            by_cpu = known.resource == ("thread",)
            return service_time_s(known.name, known.servers, home.parent, env, by_cpu=by_cpu)

        service_s = calibrated_s()
        began_s = time.monotonic()
        with beside(disturber):
            ended = subprocess.run(
                [*loadpath, "ask", "bottleneck", *flags, "--budget", str(budget_s), "-q", "--json"],
                cwd=home,
                env=with_python(),
                capture_output=True,
                text=True,
                check=False,
            )
        took_s = time.monotonic() - began_s
        # Before and after: whatever disturbs only makes it longer.
        service_s = min(service_s, calibrated_s())
    truth = knee_per_s(service_s, known.servers, known.limit_s)
    if ended.returncode not in (0, 1, 3):
        said = f"ended in {ended.returncode}: {ended.stderr.strip()[-300:]}"
        return Outcome(known.name, "wrong", said, truth, None, "", "", took_s)
    answer = json.loads(ended.stdout)["answers"][0]
    outcome = judged(known, truth, answer, took_s)
    said = " ".join([answer["claim"], *(check["detail"] for check in answer["validity"])])
    if disturber is not None and not re.search(TOOK, said):
        why = f"it does not say what others took: {said}"
        return replace(outcome, verdict="wrong", why=why)
    return outcome


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
    if stated is not None:
        outcome = replace(outcome, width=(stated[2] - stated[1]) / 2 / stated[0])
    faults = knee_faults(truth, stated)
    if answer["state"] == "inconclusive":
        broken = [f"{c['name']}: {c['detail']}" for c in answer["validity"] if not c["passed"]]
        if broken or not faults:
            why = "; ".join(broken) or answer["claim"]
            return replace(outcome, verdict="inconclusive", why=why)
    else:
        faults += [] if stated else ["no knee"]
        if not (answer["state"] == "predicted" and tells_no_limit_apart(known, resource)):
            faults += resource_faults(known, answer["figures"])
        if answer["state"] not in ("confirmed", "predicted"):
            faults.append(f"{answer['state']}: {answer['claim']}")
    if faults:
        return replace(outcome, verdict="wrong", why="; ".join(faults))
    if answer["state"] == "predicted":
        return replace(outcome, verdict="inconclusive", why=f"only predicted: {answer['claim']}")
    if (outcome.width or 0.0) > WIDTH_MAX:
        why = f"too wide: the knee is known to ±{outcome.width:.0%} only"
        return replace(outcome, verdict="inconclusive", why=why)
    return outcome


def knee_faults(truth: float, stated: tuple[float, float, float] | None) -> list[str]:
    """What is wrong with the knee that is stated, if one is."""
    faults = []
    if stated is not None:
        value, low, high = stated
        if not low * (1 - WIDENED) <= truth <= high * (1 + WIDENED):
            faults.append("the truth lies outside its interval")
        if abs(value / truth - 1) > VALUE_OFF_MAX:
            faults.append(f"{value / truth - 1:+.0%} off")
    return faults


def tells_no_limit_apart(known: Known, resource: dict[str, Any]) -> bool:
    """Whether it says truly that it is a limit, and that it cannot tell which one: where the budget
    left no time to read the wires."""
    is_limit = "limit" in known.resource and resource.get("kind") == "limit"
    return is_limit and "a pool, a lock or an outside call" in str(resource.get("name"))


def resource_faults(known: Known, figures: dict[str, Any]) -> list[str]:
    """What is wrong with the resource that is named."""
    resource = figures.get("bottleneck") or {}
    if resource.get("kind") not in known.resource or resource.get("part") != known.part:
        return [f"it names {resource.get('name')}"]
    if known.named not in resource["name"]:
        return [f"it names {resource['name']}, not {known.named}"]
    if resource["kind"] == "limit":
        count = (figures.get("in_service") or {}).get("requests", 0)
        if abs(count / known.servers - 1) > COUNT_OFF_MAX:
            return [f"{count:.1f} in service instead of {known.servers}"]
    return []


def main() -> int:
    """Run them in turn; ends in 1 when one was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("services", nargs="*", help="all unless said")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds a run may take (60)")
    parser.add_argument("--times", type=int, default=1, help="runs of each (1)")
    parser.add_argument("--record", type=Path, help="a file of outcomes, which is continued")
    parser.add_argument("--beside", metavar="COMMAND", help="what runs all the while, or `burner`")
    options = parser.parse_args()
    names = options.services or list(KNOWN)
    if unknown := set(names) - set(KNOWN):
        parser.error(f"{', '.join(unknown)}: known are {', '.join(KNOWN)}")
    outcomes = recorded(options.record)
    for time_ in range(1, options.times + 1):
        for name in names:
            if sum(outcome.service == name for outcome in outcomes) >= time_:
                continue
            outcome = run(
                KNOWN[name],
                loadpath=[str(Path(sys.executable).parent / "loadpath")],
                budget_s=options.budget,
                disturber=options.beside,
            )
            outcomes.append(outcome)
            print(outcome.line, flush=True)
            if options.record is not None:
                with options.record.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(outcome)) + "\n")
    return 1 if any(outcome.verdict == "wrong" for outcome in outcomes) else 0


def recorded(file: Path | None) -> list[Outcome]:
    """The outcomes that a file of them has; none where there is no file yet."""
    if file is None or not file.exists():
        return []
    return [Outcome(**json.loads(line)) for line in file.read_text("utf-8").splitlines()]


if __name__ == "__main__":
    sys.exit(main())
