"""How the model's inner functions are compiled: once, kept on disk where that can be written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., object])

_SOURCES = ("jit.py", "draws.py", "heap.py", "program.py", "kernel.py")


def inlined(function: _F) -> _F:
    """Compile a small function into those that call it."""
    return cast("_F", numba.njit(function, error_model="numpy"))


def kept(function: _F) -> _F:
    """Compile a function on its first call and keep it beside its source, or in the user's cache.

    Where neither can be written it is compiled anew by each process.
    """
    try:
        compiled = numba.njit(function, error_model="numpy", nogil=True, cache=True)
    except RuntimeError:  # numba found no place that it may write
        compiled = numba.njit(function, error_model="numpy", nogil=True)
    return cast("_F", compiled)


def digest() -> int:
    """A number that changes with any of the files compiled together.

    Numba compiles again when the file of the outer function has changed, and does not look at
    those of the functions that it calls; but it does look at the values a closure holds.
    """
    folder = Path(__file__).parent
    text = b"".join((folder / name).read_bytes() for name in _SOURCES)
    return int.from_bytes(hashlib.sha256(text).digest()[:4])
