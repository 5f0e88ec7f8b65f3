"""How often codes collide: 10 million of each of CODES, beside what chance would have.

    python bench/codes.py [--codes 10000000] [--length 5]

A collision is a proposal that an earlier one had taken. In the service the unique index of `link`
finds it, and the next proposal is tried: it costs one more statement, and never a wrong link.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from shortener.code_sources import hash_code
from shortener.codes import CODE_LENGTH, random_code
from shortener.permutation import KEY_BYTES, code_of_number, space

_KEY = bytes(range(KEY_BYTES))


def proposals(length: int) -> dict[str, Callable[[int], str]]:
    """The first proposal for the link of a number."""
    return {
        "random": lambda number: random_code(length),
        "permuted": lambda number: code_of_number(_KEY, number, length),
        "hash": lambda number: hash_code(_KEY, f"https://example.com/articles/{number}", length),
    }


def collisions(propose: Callable[[int], str], count: int, length: int) -> int:
    """How many of that many proposals were taken before."""
    codes = np.fromiter(
        (propose(number).encode() for number in range(count)), dtype=f"S{length}", count=count
    )
    return count - len(np.unique(codes))


def main() -> int:
    """Print a table; 1 when a permuted code collided."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codes", type=int, default=10_000_000)
    parser.add_argument("--length", type=int, default=CODE_LENGTH)
    options = parser.parse_args()
    # Of n drawn from N the expected number that were drawn before: n - N (1 - (1 - 1/N)^n).
    size = space(options.length)
    chance = options.codes - size * -np.expm1(options.codes * np.log1p(-1 / size))
    found = {}
    print("CODES     codes       collisions  by chance  of them  µs each")
    for name, propose in proposals(options.length).items():
        began_s = time.process_time()
        found[name] = collisions(propose, options.codes, options.length)
        took_us = (time.process_time() - began_s) / options.codes * 1e6
        expected = 0 if name == "permuted" else round(chance)
        share = found[name] / options.codes
        print(
            f"{name:9} {options.codes:<11,} {found[name]:10,} {expected:10,} {share:8.3%} "
            f"{took_us:8.1f}",
            flush=True,
        )
    return 1 if found["permuted"] else 0


if __name__ == "__main__":
    sys.exit(main())
