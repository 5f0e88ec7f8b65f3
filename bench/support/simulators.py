"""Other simulators, each with the model written as its own users would write it."""

from __future__ import annotations

import random
import re
import resource
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import simpy

from support import peers

HOME = peers.CHECKOUT / ".bench" / "simulators"
PINNED = peers.CHECKOUT / "bench" / "simulators.txt"

_CIW = """
import sys, time
import ciw

customers = int(sys.argv[1])
network = ciw.create_network(
    arrival_distributions=[ciw.dists.Exponential(rate=0.8)],
    service_distributions=[ciw.dists.Exponential(rate=1.0)],
    number_of_servers=[1],
)
ciw.seed(1)
simulation = ciw.Simulation(network)
began_s = time.process_time()
simulation.simulate_until_max_customers(customers)
took_s = time.process_time() - began_s
waits = [r.waiting_time + r.service_time for r in simulation.get_all_records()]
print(took_s, sum(waits) / len(waits))
"""

_LINE = """
import sys
from line_solver import *

model = Network("mm1")
source, queue = Source(model, "in"), Queue(model, "queue", SchedStrategy.FCFS)
sink, customer = Sink(model, "out"), OpenClass(model, "customer")
source.setArrival(customer, Exp(0.8))
queue.setService(customer, Exp(1.0))
model.link(Network.serialRouting(source, queue, sink))
solver = SolverLDES(model, samples=int(sys.argv[1]), seed=1)
print(0, float(solver.getAvgTable().iloc[1]["RespT"]))
"""


@dataclass(frozen=True)
class Simulated:
    """Customers per CPU second, and the mean response time that it came to."""

    customers_per_s: float
    mean_s: float


def versions() -> dict[str, str]:
    """The simulators and their versions."""
    found = dict(re.findall(r"^([\w-]+)==(\S+)", PINNED.read_text(), re.MULTILINE))
    return {"SimPy": version("simpy"), "Ciw": found["ciw"], "LINE": found["line-solver"]}


def install() -> None:
    """Make their environment, unless it is there."""
    peers.install(HOME, PINNED)


def simpy_mm1(customers: int) -> Simulated:
    """SimPy, in this process."""
    draws = random.Random(1)
    env = simpy.Environment()
    server = simpy.Resource(env)
    total_s = 0.0

    def visit() -> Generator[simpy.Event, Any, None]:
        nonlocal total_s
        began = env.now
        with server.request() as turn:
            yield turn
            yield env.timeout(draws.expovariate(1.0))
        total_s += env.now - began

    def arrive() -> Generator[simpy.Event, Any, None]:
        for _ in range(customers):
            yield env.timeout(draws.expovariate(0.8))
            env.process(visit())

    env.process(arrive())
    began_s = time.process_time()
    env.run()
    return Simulated(customers / (time.process_time() - began_s), total_s / customers)


def ciw_mm1(customers: int) -> Simulated:
    """Ciw, without its imports."""
    took_s, mean_s = _run(_CIW, customers)
    return Simulated(customers / took_s, mean_s)


def line_mm1(customers: int) -> Simulated:
    """LINE's own event simulator, a binary that its package brings along; without the start-up of
    Python and of the binary, which a run of few customers costs."""
    few = 2000
    least_s = min(_children_s(_LINE, few)[0] for _ in range(2))
    took_s, mean_s = _children_s(_LINE, customers)
    return Simulated((customers - few) / max(took_s - least_s, 1e-9), mean_s)


def _children_s(script: str, customers: int) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _, mean_s = _run(script, customers)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, mean_s


def _run(script: str, customers: int) -> tuple[float, float]:
    """CPU seconds, where the script says them, and the mean response time."""
    command = [str(HOME / "bin/python"), "-c", script, str(customers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"a peer ended in {done.returncode}:\n{done.stderr[-2000:]}")
    took_s, mean_s = done.stdout.split("\n")[-2].split()
    return float(took_s), float(mean_s)
