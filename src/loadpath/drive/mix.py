"""What arrivals are: operations and keys drawn in bulk, and the requests made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath.drive.arrivals import choose_operations
from loadpath.drive.operations import CompiledWorkload, Keys, identity_codes
from loadpath.drive.plan import Part

Made: TypeAlias = bytes | tuple[int, ...] | None
"""A request's bytes; or the key numbers of its slots, when it is made as it is sent; or None, when
a generator flow makes its own."""

Job: TypeAlias = tuple[int, int, float, int, Made]
"""One arrival: flow number, operation index, intended start in seconds, the code of key and
identity, and its request."""


class Drawn(msgspec.Struct, frozen=True):
    """What a run of arrivals is: operation indices, key numbers by slot, key codes."""

    operations: npt.NDArray[np.intp]
    numbers: list[npt.NDArray[np.int64]]
    codes: npt.NDArray[np.uint64]

    def of(self, part: Part, first: int = 0) -> Drawn:
        """Those of one process; `first` is the number of the first of these arrivals."""
        if part.of == 1:
            return self
        chosen = slice((part.index - first) % part.of, None, part.of)
        return Drawn(
            self.operations[chosen], [each[chosen] for each in self.numbers], self.codes[chosen]
        )


class Mix:
    """Draws operations and keys in bulk and makes the requests of those that are declared."""

    def __init__(
        self,
        workload: CompiledWorkload,
        indices: Sequence[int],
        weights: Sequence[float],
        rng: np.random.Generator,
    ) -> None:
        self._keys: Keys = workload.keys
        self._indices = np.asarray(indices, dtype=np.intp)
        self._weights = list(weights)
        self._rng = rng
        templates = [each.template for each in workload.operations]
        self._templates = templates
        self._ahead = [workload.ahead(i) for i in range(len(templates))]
        self._fixed = [
            t.fixed if t is not None and ahead else None
            for t, ahead in zip(templates, self._ahead, strict=True)
        ]
        self._all_fixed = all(self._fixed[i] is not None or templates[i] is None for i in indices)
        self._identities = workload.identities
        self._slots = [
            () if t is None else tuple(self._keys.index[name] for name in t.key_sets)
            for t in templates
        ]
        self._most_slots = max((len(self._slots[i]) for i in indices), default=0)

    def draw(self, count: int) -> Drawn:
        """What the next `count` arrivals are."""
        operations = self._indices[choose_operations(self._weights, count, self._rng)]
        numbers = [np.zeros(count, dtype=np.int64) for _ in range(self._most_slots)]
        codes = np.zeros(count, dtype=np.uint64)
        for index in self._indices.tolist():
            slots = self._slots[index]
            if not slots:
                continue
            where = np.flatnonzero(operations == index)
            for slot, key_set in enumerate(slots):
                drawn = self._keys.samplers[key_set].draw(len(where), self._rng)
                numbers[slot][where] = drawn
            if len(slots) == 1:
                codes[where] = numbers[0][where] + Keys.code(slots[0], 0)
            else:
                columns = [
                    (numbers[slot][where] + Keys.code(key_set, 0)).tolist()
                    for slot, key_set in enumerate(slots)
                ]
                codes[where] = [self._keys.combine(each) for each in zip(*columns, strict=True)]
        if self._identities is not None:
            codes += identity_codes(self._identities.draw(count, self._rng))
        return Drawn(operations, numbers, codes)

    def requests(
        self, drawn: Drawn, low: int, high: int
    ) -> tuple[list[int], list[int], list[Made]]:
        """Operations, codes and requests of arrivals `low` to `high`."""
        operations = drawn.operations[low:high].tolist()
        codes = drawn.codes[low:high].tolist()
        if self._all_fixed:
            return operations, codes, [self._fixed[operation] for operation in operations]
        columns = [column[low:high].tolist() for column in drawn.numbers]
        numbers = zip(*columns, strict=True) if columns else [()] * len(operations)
        return (
            operations,
            codes,
            [
                self._request(operation, keys)
                for operation, keys in zip(operations, numbers, strict=True)
            ],
        )

    def _request(self, operation: int, numbers: tuple[int, ...]) -> Made:
        fixed = self._fixed[operation]
        template = self._templates[operation]
        if fixed is not None or template is None:
            return fixed
        return template.build(numbers) if self._ahead[operation] else numbers


def stream_rng(seed: int, segment: int, stream: int) -> np.random.Generator:
    """An independent random stream of a run, the same whenever it is asked for."""
    return np.random.default_rng([seed & 0xFFFF_FFFF_FFFF_FFFF, segment, stream])
