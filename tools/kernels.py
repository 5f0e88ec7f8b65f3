"""Compile the kernel of the model into its cache beside the sources: python tools/kernels.py

Whatever simulates does so when it needs it, and takes a core for ten seconds. Several processes
that begin at once would each compile the same.
"""

from __future__ import annotations

from loadpath.model.network import Delay, Law, Model, Program
from loadpath.model.simulate import OpenRate, simulate


def main() -> int:
    """0 when it is compiled."""
    program = Program(operation="one", weight=1.0, steps=(Delay(Law(mean_s=0.001)),))
    model = Model(cores=1.0, stations=(), pools=(), programs=(program,))
    simulate(model, OpenRate(1.0), requests=1000)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
