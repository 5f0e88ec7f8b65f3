"""What the benchmarks share. Each `bench/NAME.py` is one that can be run."""
