"""Heaps of pending events in flat arrays: four children a node, and every token knows its place.

Heap `h` keeps times in `keys[h]` and tokens in `items[h]`; a token is in one heap at most, at
`places[token]`, so that it can be taken out again when it is no longer awaited.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from loadpath.model.jit import called, inlined
from loadpath.model.program import Floats

Int32s = npt.NDArray[np.int32]


@inlined
def push(
    keys: Floats, items: Int32s, sizes: Int32s, places: Int32s, h: int, key: float, token: int
) -> None:
    """Add a token that is due at `key`."""
    at = int(sizes[h])
    sizes[h] = at + 1
    if at == 0:
        keys[h, 0] = key
        items[h, 0] = token
        places[token] = 0
    else:
        rise(keys, items, places, h, at, key, token)


@called
def rise(
    keys: Floats, items: Int32s, places: Int32s, h: int, at: int, key: float, token: int
) -> None:
    """Put a token where it belongs between a hole and the root."""
    while at > 0:
        parent = (at - 1) >> 2
        if keys[h, parent] <= key:
            break
        keys[h, at] = keys[h, parent]
        items[h, at] = items[h, parent]
        places[items[h, at]] = at
        at = parent
    keys[h, at] = key
    items[h, at] = token
    places[token] = at


@inlined
def pop(keys: Floats, items: Int32s, sizes: Int32s, places: Int32s, h: int) -> int:
    """Take out the token that is due first."""
    first = items[h, 0]
    if sizes[h] == 1:
        sizes[h] = 0
    else:
        remove(keys, items, sizes, places, h, 0)
    return int(first)


@called
def remove(keys: Floats, items: Int32s, sizes: Int32s, places: Int32s, h: int, at: int) -> None:
    """Take out the token at a place; the first one stands at 0."""
    size = int(sizes[h]) - 1
    sizes[h] = size
    if at == size:
        return
    key, token = keys[h, size], int(items[h, size])
    if at > 0 and keys[h, (at - 1) >> 2] > key:
        rise(keys, items, places, h, at, key, token)
        return
    while True:
        child = 4 * at + 1
        if child >= size:
            break
        least = child
        for other in range(child + 1, min(child + 4, size)):
            if keys[h, other] < keys[h, least]:
                least = other
        if keys[h, least] >= key:
            break
        keys[h, at] = keys[h, least]
        items[h, at] = items[h, least]
        places[items[h, at]] = at
        at = least
    keys[h, at] = key
    items[h, at] = token
    places[token] = at
