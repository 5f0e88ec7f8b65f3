"""Random draws for the kernel: a stream of its own for every instruction, so that two runs with the
same seed draw the same service times wherever their programs are the same.

SplitMix64 (Steele, Lea & Flood 2014); exponentials by the ziggurat (Marsaglia & Tsang 2000);
normals by Box & Muller (1958); gammas by Marsaglia & Tsang (2000).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from loadpath.model.jit import called, inlined
from loadpath.model.program import CONSTANT, EMPIRICAL, EXPONENTIAL, GAMMA, Floats

Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_S11, _S27, _S30, _S31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
_LAYER = np.uint64(255)
_UNIT = 2.0**-53

_EDGE = 7.69711747013104972
"""Where the ziggurat's tail begins, for 256 layers."""
_AREA = 0.0039496598225815571993
"""Area of each layer."""


def _layers() -> tuple[Floats, Floats]:
    """Widths of the ziggurat's 256 layers, and the density at each."""
    widths = np.zeros(257)
    widths[0], widths[1] = _AREA * math.exp(_EDGE), _EDGE
    for i in range(2, 256):
        widths[i] = -math.log(_AREA / widths[i - 1] + math.exp(-widths[i - 1]))
    return widths, np.exp(-widths)


_WIDTHS, _DENSITIES = _layers()


@inlined
def word(streams: Words, stream: int) -> np.uint64:
    """64 random bits."""
    state = streams[stream] + _GOLDEN
    streams[stream] = state
    state = (state ^ (state >> _S30)) * _MIX1
    state = (state ^ (state >> _S27)) * _MIX2
    return np.uint64(state ^ (state >> _S31))


@inlined
def uniform(streams: Words, stream: int) -> float:
    """In [0, 1)."""
    return float((word(streams, stream) >> _S11) * _UNIT)


@inlined
def exponential(streams: Words, stream: int) -> float:
    """Of mean 1."""
    while True:
        bits = word(streams, stream)
        layer = np.int64(bits & _LAYER)
        x = np.float64(bits >> _S11) * _UNIT * _WIDTHS[layer]
        if x < _WIDTHS[layer + 1]:
            return float(x)
        if layer == 0:
            return float(_EDGE - math.log(1.0 - uniform(streams, stream)))
        low, high = _DENSITIES[layer], _DENSITIES[layer + 1]
        if low + (high - low) * uniform(streams, stream) < math.exp(-x):
            return float(x)


@called
def normal(streams: Words, stream: int) -> float:
    """Of mean 0 and variance 1."""
    radius = math.sqrt(2.0 * exponential(streams, stream))
    return radius * math.cos(2.0 * math.pi * uniform(streams, stream))


@called
def gamma(streams: Words, stream: int, shape: float) -> float:
    """Of that shape and scale 1."""
    boost = 1.0
    if shape < 1.0:
        boost = (1.0 - uniform(streams, stream)) ** (1.0 / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = normal(streams, stream)
        v = (1.0 + c * x) ** 3
        if v <= 0.0:
            continue
        u = 1.0 - uniform(streams, stream)
        if math.log(u) < 0.5 * x * x + d - d * v + d * math.log(v):
            return boost * d * v


@called
def draw(
    streams: Words,
    stream: int,
    law: int,
    p0: float,
    p1: float,
    values: Floats,
    first: int,
    count: int,
) -> float:
    """A time in seconds by a law as `program.law_parameters` gives it."""
    if law == EXPONENTIAL:
        return p0 * exponential(streams, stream)
    if law == CONSTANT:
        return p0
    if law == EMPIRICAL:
        return float(values[first + np.int64(uniform(streams, stream) * count)])
    if law == GAMMA:
        return p1 * gamma(streams, stream, p0)
    return math.exp(p0 + p1 * normal(streams, stream))
