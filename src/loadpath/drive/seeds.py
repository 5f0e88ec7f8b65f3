"""From the seed of a run to the numbers and tokens of its parts. Pure."""

from __future__ import annotations

MASK = (1 << 64) - 1


def mixed(number: int) -> int:
    """The output function of SplitMix64 (Steele, Lea and Flood 2014)."""
    z = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def segment_tag(seed: int, index: int) -> str:
    """Eight hexadecimal digits that begin the tokens of a segment."""
    return f"{mixed(seed & MASK) & 0xFFFF:04x}{index:04x}"
