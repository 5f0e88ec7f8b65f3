"""What simulating costs: customers and requests per CPU second, beside other simulators.

    python bench/simulation.py [--rounds N] [--write]

M/M/1 at 80 % load, first come first served, and a service with two nested pools on shared cores
(`tests/unit/model/models.py`), which of the others SimPy alone can be told without more. Then
what a user waits for: a load point of a million requests, a whole what-if. All in CPU seconds,
after compilation. `--write` puts the table into docs/reference/benchmarks.md. Exit status 1: a
figure is not what the project asks.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from support import page, simulators
from support.figures import Figures

from loadpath import __version__
from loadpath.model.capacity import knee
from loadpath.model.network import Model, Station
from loadpath.model.program import compile_model
from loadpath.model.simulate import WARM_UP_RATIO, OpenRate, Simulated, replicated, simulate
from loadpath.spec.objective import Objective, QuantileLimit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "unit" / "model"))
from models import NESTED, exponential, queue
from oracle import two_pools

MM1_LOAD = 0.8
MM1_MEAN_S = 5.0
NESTED_RATE_PER_S = 3000.0
OBJECTIVE = Objective((QuantileLimit(0.99, 0.010),))

_COMPILE = """
import time
from loadpath.model.simulate import OpenRate, simulate
import models
began_s = time.process_time()
simulate(models.NESTED, OpenRate(1.0), requests=1000)
print(time.process_time() - began_s)
"""


def took_s(run: Callable[[], object]) -> float:
    began_s = time.process_time()
    run()
    return time.process_time() - began_s


def mm1(customers: int) -> float:
    """Customers per CPU second, those of the warm-up included, and the mean as the others give."""
    compiled = compile_model(queue(exponential(1.0)))
    began_s = time.process_time()
    seen = replicated(
        compiled,
        OpenRate(MM1_LOAD),
        requests=customers,
        seed=1,
        replications=10,
        limit_per_s=1.0,
    )
    mean_s = sum(float(s.responses_s.sum()) for s in seen) / customers
    rate = (1 + WARM_UP_RATIO) * customers / (time.process_time() - began_s)
    return check(simulators.Simulated(rate, mean_s), "Loadpath")


def check(found: simulators.Simulated, who: str) -> float:
    """Its speed, once its answer is right: a fast wrong one is none."""
    if abs(found.mean_s / MM1_MEAN_S - 1) > 0.25:
        raise SystemExit(f"{who}: mean response time of M/M/1 is {found.mean_s}, expected 5")
    return found.customers_per_s


def point(model: Model, requests: int) -> Simulated:
    return simulate(model, OpenRate(NESTED_RATE_PER_S), requests=requests)


def with_second_worker(model: Model) -> Model:
    def grown(station: Station) -> Station:
        return msgspec.structs.replace(station, servers=2) if station.name == "app" else station

    return msgspec.structs.replace(model, stations=tuple(grown(s) for s in model.stations))


def what_if() -> None:
    """Before and after a second worker: a load point of a million requests, and the knee."""
    for model in (NESTED, with_second_worker(NESTED)):
        point(model, 1_000_000)
        knee(model, OBJECTIVE)


def compiled_s() -> float:
    """CPU seconds of the first call in a place where nothing was kept."""
    with tempfile.TemporaryDirectory() as folder:
        models = str(Path(__file__).resolve().parents[1] / "tests" / "unit" / "model")
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder, "PYTHONPATH": models}
        done = subprocess.run(
            [sys.executable, "-c", _COMPILE],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return float(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write docs/reference/benchmarks.md")
    options = parser.parse_args()
    simulators.install()
    mm1(20_000)  # compiles, or loads what was compiled
    figures = Figures()
    for _ in range(options.rounds):
        figures.note("M/M/1, Loadpath", "/s", mm1(4_000_000), at_least=10e6)
        line = check(simulators.line_mm1(1_000_000), "LINE")
        figures.note("M/M/1, LINE, its event simulator", "/s", line)
        figures.note("M/M/1, SimPy", "/s", check(simulators.simpy_mm1(60_000), "SimPy"))
        figures.note("M/M/1, Ciw", "/s", check(simulators.ciw_mm1(20_000), "Ciw"))
        spent_s = took_s(lambda: point(NESTED, 1_000_000))
        figures.note("two nested pools, Loadpath", "/s", 1e6 / spent_s, at_least=0.7e6)
        simpy_s = took_s(lambda: two_pools(NESTED_RATE_PER_S, 10_000, 0, 1))
        figures.note("two nested pools, SimPy", "/s", 10_000 / simpy_s)
        figures.note("a load point: a million requests, p99 interval", "s", spent_s, at_most=2)
        figures.note("a what-if: before, after, both knees", "s", took_s(what_if), at_most=10)
    figures.note("compiling, once for each version", "s", compiled_s())
    figures.ratio("M/M/1, Loadpath", "M/M/1, LINE, its event simulator")
    figures.ratio("M/M/1, Loadpath", "M/M/1, SimPy")
    figures.ratio("M/M/1, Loadpath", "M/M/1, Ciw")
    figures.ratio("two nested pools, Loadpath", "two nested pools, SimPy")
    print(figures.as_text())
    if options.write:
        p99_s = point(NESTED, 1_000_000).overall.p99_s
        said = (
            "Customers and requests per CPU second of one core, and CPU seconds. M/M/1 is the "
            "simulation with its mean; the nested pools, the load point and the what-if are whole "
            "answers, quantiles and intervals included. The p99 of the load point came to "
            f"{p99_s.low * 1000:.2f} – {p99_s.high * 1000:.2f} ms. The nested pools on shared "
            "cores were not put to Ciw and LINE, whose words (nodes and classes) lack them."
        )
        body = f"{said}\n\n{figures.as_markdown()}"
        names = {"Loadpath": __version__, **simulators.versions()}
        page.write_section("simulation", "Simulation", body, names)
    for name in figures.missed:
        print(f"missed: {name}", file=sys.stderr)
    return int(bool(figures.missed))


if __name__ == "__main__":
    sys.exit(main())
