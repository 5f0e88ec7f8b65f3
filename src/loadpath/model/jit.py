"""How the model's inner functions are compiled: once, kept on disk where that can be written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., object])

SOURCES = (
    "jit.py",
    "program.py",
    "state.py",
    "draws.py",
    "heap.py",
    "visits.py",
    "tokens.py",
    "window.py",
    "kernel.py",
)


_COMMON = {"error_model": "numpy", "_nrt": False}
"""Divisions do not raise; arrays are not counted, as none is made or kept by what is compiled.

Counting took two thirds of the time, since each use of an array counts it up and down again.
"""
_njit: Any = numba.njit  # its types leave out what numba itself does not document


def inlined(function: _F) -> _F:
    """Compile a function into those that call it: what runs for every event."""
    return cast("_F", _njit(function, forceinline=True, **_COMMON))


def called(function: _F) -> _F:
    """Compile a function that others call: what is rare, or long."""
    return cast("_F", _njit(function, **_COMMON))


def kept(function: _F) -> _F:
    """Compile a function on its first call and keep it beside its source, or in the user's cache.

    Where neither can be written it is compiled anew by each process.
    """
    try:
        compiled = _njit(function, nogil=True, cache=True, **_COMMON)
    except RuntimeError:  # numba found no place that it may write
        compiled = _njit(function, nogil=True, **_COMMON)
    return cast("_F", compiled)


def digest() -> int:
    """A number that changes with any of the files compiled together.

    Numba compiles again when the file of the outer function has changed, and does not look at
    those of the functions that it calls; but it does look at the values a closure holds.
    """
    folder = Path(__file__).parent
    text = b"".join((folder / name).read_bytes() for name in SOURCES)
    return int.from_bytes(hashlib.sha256(text).digest()[:4])
