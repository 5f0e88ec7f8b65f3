"""Services with a planted flaw each, what brings it to light, and what has to be said of it.

python flaws.py [--times N] [--record FILE] [NAME …]   every flaw and its clean twin, N times
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

HERE = Path(__file__).parent


class Flaw(msgspec.Struct, frozen=True, kw_only=True):
    """`harm` is what has to be found by `fault`. `operations` are the mix, by weight; `rate_per_s`
    the load."""

    name: str
    fault: str
    harm: str
    operations: dict[str, int]
    rate_per_s: int = 80
    writes: bool = False


SHOP = {"GET /items/{n}": 30, "GET /stock/{n}": 30}
FLAWS = {
    flaw.name: flaw
    for flaw in (
        Flaw(
            name="early acknowledgement",
            fault="service killed",
            harm="lost",
            operations=SHOP,
            writes=True,
        ),
        Flaw(
            name="no timeout",
            fault="database stopped, for 3s",
            harm="hangs",
            operations={"GET /stock/{n}": 1},
        ),
        Flaw(
            name="unbounded retries",
            fault="database error 40001 on SELECT $1::int % 7, for 1.5s",
            harm="amplified",
            operations={"GET /stock/{n}": 1},
        ),
        Flaw(
            name="not idempotent",
            fault="database drop ack after commit of INSERT INTO orders, for 1.5s",
            harm="duplicated",
            operations=SHOP,
            writes=True,
        ),
        Flaw(
            name="hard cache",
            fault="cache killed, for 2s",
            harm="hard",
            operations=SHOP,
        ),
        Flaw(
            name="unbounded queue",
            fault="database stopped, for 4s",
            harm="grows",
            operations={"GET /items/{n}": 1},
        ),
        Flaw(
            name="no reconnect",
            fault="database killed",
            harm="broken",
            operations=SHOP,
        ),
        Flaw(
            name="lying readiness",
            fault="database killed, for 2s",
            harm="unready",
            operations={"GET /stock/{n}": 1},
        ),
        Flaw(
            name="retry storm",
            fault="database stopped, for 2s",
            harm="metastable",
            operations={"GET /report": 1},
            rate_per_s=60,
        ),
    )
}


def write_folder(folder: Path, flaw: Flaw, *, planted: bool, beside: Sequence[str] = ()) -> None:
    """A service file for the flawed service, or for its clean twin under the same load.

    `beside`: the names of other flaws that it has as well.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("service.py", "workload.py"):
        shutil.copy(HERE / name, folder / name)
    operations = "".join(
        f"[operations.{json.dumps(name)}]\nrequest = {json.dumps(name)}\nweight = {weight}\n"
        + ('keys = "n"\n' if "{n}" in name else "")
        for name, weight in flaw.operations.items()
    )
    flows = 'flows = "workload.py"\n' if flaw.writes else ""
    (folder / "loadpath.toml").write_text(
        f"""
[service]
name = "shop"
start = "{sys.executable} service.py {{port}}"
ready = "GET /health"
env = {{ FLAW = {json.dumps(", ".join([flaw.name, *beside]) if planted else "")} }}

[dependencies.database]
kind = "postgres"
env = {{ DATABASE_URL = "postgresql://{{user}}:{{password}}@{{host}}:{{port}}/{{name}}" }}

[dependencies.cache]
kind = "valkey"
env = {{ CACHE_URL = "redis://:{{password}}@{{host}}:{{port}}/0" }}

[workload]
arrivals = {{ open = "{flaw.rate_per_s}/s" }}
{flows}
[workload.keys.n]
count = 200

{operations}
[objective]
p99 = "100ms"
errors = "1%"
""",
        encoding="utf-8",
    )


def accused(names: Sequence[str], *, planted: bool) -> tuple[dict[str, set[str]], str]:
    """The harms that `loadpath ask crash` finds by the fault of each flaw, and all that it says.

    The service has the first of these flaws if it is `planted`, and none else.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder), FLAWS[names[0]], planted=planted)
        command = [str(Path(sys.executable).with_name("loadpath")), "ask", "crash", folder]
        faults = [word for name in names for word in ("--faults", FLAWS[name].fault)]
        ended = subprocess.run(
            [*command, "-q", "--json", *faults], capture_output=True, text=True, check=False
        )
        if not ended.stdout:
            raise RuntimeError(ended.stderr)
        findings = json.loads(ended.stdout)["answers"][0]["figures"]["findings"]
        found = {
            name: {each["harm"] for each in findings if each["fault"] == FLAWS[name].fault}
            for name in names
        }
        return found, ended.stdout


class Outcome(msgspec.Struct, frozen=True):
    """What was accused in one run; right: the planted flaw, or nothing of a clean twin."""

    name: str
    planted: bool
    found: list[str]
    right: bool


def rounds(names: Sequence[str]) -> list[tuple[tuple[str, ...], bool]]:
    """The runs of one repetition: each planted flaw, and each clean twin with all of the faults
    that its load is meant for, one after the other."""
    twins: dict[str, list[str]] = {}
    for name in names:
        flaw = FLAWS[name]
        load = json.dumps([flaw.operations, flaw.rate_per_s, flaw.writes])
        twins.setdefault(load, []).append(name)
    return [((name,), True) for name in names] + [(tuple(n), False) for n in twins.values()]


def series(names: list[str], times: int, record: Path | None) -> list[Outcome]:
    """Run each flaw and its clean twin so often, less what `record` has already."""
    outcomes = []
    if record is not None and record.exists():
        outcomes = [msgspec.json.decode(line, type=Outcome) for line in record.open("rb")]
    done = Counter((outcome.name, outcome.planted) for outcome in outcomes)
    for number in range(times):
        for tried, planted in rounds(names):
            left = [name for name in tried if number >= done[name, planted]]
            if not left:
                continue
            found, said = accused(left, planted=planted)
            for name in left:
                harms = found[name]
                right = FLAWS[name].harm in harms if planted else not harms
                outcomes.append(Outcome(name, planted, sorted(harms), right))
                if record is not None:
                    with record.open("ab") as file:
                        file.write(msgspec.json.encode(outcomes[-1]) + b"\n")
                kind = "planted" if planted else "clean"
                count = f"{len(outcomes)} of {2 * len(names) * times}"
                words = ", ".join(sorted(harms)) or "nothing"
                print(f"{time.strftime('%H:%M:%S')} {count}: {name}, {kind}: {words}", flush=True)
                if not right:
                    print(said, flush=True)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--record", type=Path, help="go on where that file ends, and add to it")
    parser.add_argument("names", nargs="*", choices=[[], *FLAWS])
    options = parser.parse_args()
    outcomes = series(options.names or list(FLAWS), options.times, options.record)
    wrong = [outcome for outcome in outcomes if not outcome.right]
    print(f"{len(wrong)} of {len(outcomes)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
