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


def accused(flaw: Flaw, *, planted: bool) -> tuple[set[str], str]:
    """The harms that `loadpath ask crash` finds there, and all that it says."""
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder), flaw, planted=planted)
        command = [
            str(Path(sys.executable).with_name("loadpath")),
            "ask",
            "crash",
            folder,
            "-q",
            "--json",
        ]
        ended = subprocess.run(
            [*command, "--faults", flaw.fault], capture_output=True, text=True, check=False
        )
        if not ended.stdout:
            raise RuntimeError(ended.stderr)
        answer = json.loads(ended.stdout)["answers"][0]
        return {each["harm"] for each in answer["figures"]["findings"]}, ended.stdout


class Outcome(msgspec.Struct, frozen=True):
    """What was accused in one run; right: the planted flaw, or nothing of a clean twin."""

    name: str
    planted: bool
    found: list[str]
    right: bool


def series(names: list[str], times: int, record: Path | None) -> list[Outcome]:
    """Run each flaw and its clean twin so often, less what `record` has already."""
    outcomes = []
    if record is not None and record.exists():
        outcomes = [msgspec.json.decode(line, type=Outcome) for line in record.open("rb")]
    done = Counter((outcome.name, outcome.planted) for outcome in outcomes)
    for number in range(times):
        for name in names:
            for planted in (True, False):
                if number < done[name, planted]:
                    continue
                found, said = accused(FLAWS[name], planted=planted)
                right = FLAWS[name].harm in found if planted else not found
                outcome = Outcome(name, planted, sorted(found), right)
                outcomes.append(outcome)
                kind = "planted" if planted else "clean"
                count = f"{len(outcomes)} of {2 * len(names) * times}"
                found_words = ", ".join(outcome.found) or "nothing"
                at = time.strftime("%H:%M:%S")
                print(f"{at} {count}: {name}, {kind}: {found_words}", flush=True)
                if not outcome.right:
                    print(said, flush=True)
                if record is not None:
                    with record.open("ab") as file:
                        file.write(msgspec.json.encode(outcome) + b"\n")
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
