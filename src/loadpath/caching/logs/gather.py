"""The requests of a log in bounded memory: what a replay needs of each, and sums of all.

Of each GET and HEAD 13 bytes are kept, of each key some 40. Keys are kept as
hashes of 64 bits: with a million of them the chance that any two share one is 3 in 100 million.
When the bounds are reached, half of the keys are left out, by their hash, with all requests for
them (spatially hashed sampling: Waldspurger et al. 2015, SHARDS), and the rest stands for all.
"""

from __future__ import annotations

import math
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from loadpath.caching.logs import kernels
from loadpath.caching.logs.formats import Batch
from loadpath.caching.logs.paths import Paths
from loadpath.caching.stream import Flags, Floats, Ids

REQUESTS_MAX = 12_000_000
KEYS_MAX = 1_390_000
"""As many as a table of 2²¹ places holds."""
REMEMBERED_MAX = 50_000
"""Requests whose key and operation need not be worked out again."""
BAD_SHOWN = 3


class Gathered:
    """What has been read of a log so far.

    Columns of the requests kept, in the order of the log: `at` (in units of `unit_s`), `key` (0 up
    to their number), `stored` (whether the answer may be), `body_bytes`. `rate` is the share of
    keys kept.
    """

    def __init__(self, requests_max: int = REQUESTS_MAX, keys_max: int = KEYS_MAX) -> None:
        self.paths = Paths()
        self.lines = 0
        self.bad = 0
        self.first_bad: list[tuple[int, str, str]] = []
        self.rate = 1.0
        self.first_s = np.inf
        self.last_s = -np.inf
        self.kept = 0
        self.unit_s = 0.001
        self._base_s = -np.inf
        self._keys_max = keys_max
        # Memory is taken by the page as it is written to: what is not needed costs nothing.
        self._at = np.empty(requests_max, dtype=np.uint32)
        self._key = np.empty(requests_max, dtype=np.int32)
        self._bytes = np.empty(requests_max, dtype=np.uint32)
        self._stored = np.empty(requests_max, dtype=np.bool_)
        self._key_hash = np.empty(keys_max, dtype=np.uint64)
        self._key_operation = np.empty(keys_max, dtype=np.int32)
        self._key_size = np.zeros(keys_max, dtype=np.uint32)
        self._remembered: dict[bytes, int] = {}
        self._hash_of: list[int] = []
        self._operation_of: list[int] = []
        self._read_of: list[bool] = []
        self._sums = np.zeros((0, 5), dtype=np.int64)
        self._slots = np.zeros(1 << 16, dtype=np.uint64)
        self._numbers = np.zeros(1 << 16, dtype=np.int32)
        self._state = np.zeros(1, dtype=np.int64)

    @property
    def keys(self) -> int:
        """How many keys are kept."""
        return int(self._state[0])

    @property
    def at(self) -> npt.NDArray[np.uint32]:
        """When each request kept came, in units of `unit_s` since a moment before all of them."""
        return self._at[: self.kept]

    @property
    def key(self) -> npt.NDArray[np.int32]:
        """The key of each request kept."""
        return self._key[: self.kept]

    @property
    def body_bytes(self) -> npt.NDArray[np.uint32]:
        """The size of each answer kept."""
        return self._bytes[: self.kept]

    @property
    def stored(self) -> Flags:
        """Whether each answer kept may be stored."""
        return self._stored[: self.kept]

    @property
    def key_operation(self) -> npt.NDArray[np.int32]:
        """The operation's number in `paths` of each key kept."""
        return self._key_operation[: self.keys]

    @property
    def key_size_bytes(self) -> npt.NDArray[np.uint32]:
        """The largest answer of each key kept."""
        return self._key_size[: self.keys]

    @property
    def sums(self) -> Ids:
        """(operations, 5) of all lines: requests, bytes, reads, client errors, server errors."""
        return self._padded(len(self.paths))

    def add(self, batch: Batch) -> None:
        """Take the next part of the log."""
        for place, why, line in batch.bad[: BAD_SHOWN - len(self.first_bad)]:
            self.first_bad.append((self.lines + place + 1, why, line))
        self.lines += batch.lines
        self.bad += len(batch.bad)
        if not len(batch.request):
            return
        self.first_s = min(self.first_s, float(batch.at_s.min()))
        self.last_s = max(self.last_s, float(batch.at_s.max()))
        rows = self._rows(batch.request)
        hashes = np.array(self._hash_of, dtype=np.uint64)[rows]
        operations = np.array(self._operation_of, dtype=np.int64)[rows]
        reads = np.array(self._read_of, dtype=np.bool_)[rows]
        self._sum(batch, operations, reads)
        wanted = reads & (hashes < _bound(self.rate))
        # In pieces, each of which has room after the half of the keys has been left out.
        places = np.flatnonzero(wanted)
        piece = max(1, len(self._at) // 4)
        for begin in range(0, len(places), piece):
            self._keep(batch, places[begin : begin + piece], hashes, operations)

    def finish(self) -> None:
        """All has been read: bring the requests into the order of their times, where they are not
        (servers write a line when they have answered), and let go of what is for reading only."""
        self._remembered = {}
        self._slots = self._slots[:0].copy()
        self._numbers = self._numbers[:0].copy()
        at = self.at
        if bool((at[1:] >= at[:-1]).all()):
            return
        order = np.argsort(at, kind="stable")
        for column in (at, self.key, self.body_bytes, self.stored):
            column[:] = column[order]

    def _rows(self, requests: object) -> npt.NDArray[np.int64]:
        """Where each request stands in the lists of those remembered."""
        assert isinstance(requests, tuple | list)
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.clear()
            self._hash_of.clear()
            self._operation_of.clear()
            self._read_of.clear()
        for request in set(requests).difference(self._remembered):
            method, _, target = request.partition(b" ")
            digest = blake2b(target, digest_size=8).digest()
            self._remembered[request] = len(self._hash_of)
            self._hash_of.append(int.from_bytes(digest) or 1)
            self._operation_of.append(self.paths.number_of(_as_read(request)))
            self._read_of.append(method in {b"GET", b"HEAD"})
        return np.fromiter(
            map(self._remembered.__getitem__, requests), dtype=np.int64, count=len(requests)
        )

    def _sum(self, batch: Batch, operations: Ids, reads: Flags) -> None:
        self._sums = self._padded(len(self.paths))
        count = len(self._sums)
        client = (batch.status >= 400) & (batch.status < 500)
        columns = (None, batch.body_bytes, reads, client, batch.status >= 500)
        for place, weights in enumerate(columns):
            told = np.bincount(operations, weights=weights, minlength=count)
            self._sums[:, place] += told.astype(np.int64)

    def _padded(self, count: int) -> Ids:
        return np.pad(self._sums, ((0, count - len(self._sums)), (0, 0)))

    def _keep(
        self,
        batch: Batch,
        places: Ids,
        hashes: npt.NDArray[np.uint64],
        operations: Ids,
    ) -> None:
        while True:
            places = places[hashes[places] < _bound(self.rate)]
            if self.kept + len(places) > len(self._at):
                self._halve()
                continue
            numbers = self._interned(hashes[places])
            if numbers is not None:
                break
            self._halve()
        end = self.kept + len(places)
        span = slice(self.kept, end)
        sizes = np.minimum(batch.body_bytes[places], 2**32 - 1).astype(np.uint32)
        status = batch.status[places]
        self._at[span] = self._times(batch.at_s[places])
        self._key[span] = numbers
        self._bytes[span] = sizes
        # A 304 stands for an answer that a cache in front would have fetched whole.
        self._stored[span] = (status >= 200) & (status < 400) & (status != 206)
        self._key_hash[numbers] = hashes[places]
        self._key_operation[numbers] = operations[places]
        np.maximum.at(self._key_size, numbers, sizes)
        self.kept = end

    def _times(self, at_s: Floats) -> npt.NDArray[np.uint32]:
        """Times as they are kept: to the millisecond over 49 days, to the second over more."""
        if not len(at_s):
            return np.empty(0, dtype=np.uint32)
        first_s, last_s = float(at_s.min()), float(at_s.max())
        if self.kept == 0:
            self._base_s = first_s
        if first_s < self._base_s:  # lines out of order: all that is kept moves on
            moved = math.ceil((self._base_s - first_s) / self.unit_s)
            self._coarsen(float(self.at.max(initial=0)) + moved)
            moved = math.ceil((self._base_s - first_s) / self.unit_s)
            self.at[:] += np.uint32(moved)
            self._base_s -= moved * self.unit_s
        self._coarsen((last_s - self._base_s) / self.unit_s)
        return np.rint((at_s - self._base_s) / self.unit_s).astype(np.uint32)

    def _coarsen(self, largest: float) -> None:
        """Take seconds for the unit where so large a number would not fit."""
        if largest >= 2**32 - 1 and self.unit_s < 1:
            self.at[:] //= 1000
            self.unit_s = 1.0

    def _interned(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32] | None:
        """The number of each key; None: there would be too many."""
        found = np.empty(len(hashes), dtype=np.int32)
        done = 0
        before = self.keys
        while done < len(hashes):
            done += kernels.intern(
                hashes[done:], self._slots, self._numbers, self._state, found[done:]
            )
            if self.keys > self._keys_max:
                self._forget_from(before)
                return None
            if done < len(hashes):
                self._grow_to(2 * len(self._slots))
        return found

    def _grow_to(self, size: int) -> None:
        slots = np.zeros(size, dtype=np.uint64)
        numbers = np.zeros(size, dtype=np.int32)
        kernels.rehash(self._slots, self._numbers, slots, numbers)
        self._slots, self._numbers = slots, numbers

    def _forget_from(self, count: int) -> None:
        """Make the table anew, of the first keys only."""
        size = len(self._slots)
        hashes = self._key_hash[:count].copy()
        self._slots = np.zeros(size, dtype=np.uint64)
        self._numbers = np.zeros(size, dtype=np.int32)
        self._state = np.zeros(1, dtype=np.int64)
        kernels.intern(
            hashes, self._slots, self._numbers, self._state, np.empty(count, dtype=np.int32)
        )

    def _halve(self) -> None:
        """Leave out half of the keys, and their requests."""
        self.rate /= 2
        stays = self._key_hash[: self.keys] < _bound(self.rate)
        renumbered = np.cumsum(stays, dtype=np.int32) - 1
        left = int(stays.sum())
        for column in (self._key_hash, self._key_operation, self._key_size):
            column[:left] = column[: self.keys][stays]
        self._key_size[left:] = 0
        requests = stays[self.key]
        kept = int(requests.sum())
        for values in (self._at, self._bytes, self._stored):
            values[:kept] = values[: self.kept][requests]
        self._key[:kept] = renumbered[self.key[requests]]
        self.kept = kept
        self._forget_from(left)


def _bound(rate: float) -> np.uint64:
    """Hashes below it are kept."""
    return np.uint64(min(2**64 - 1, int(rate * 2**64)))


def _as_read(request: bytes) -> bytes:
    """HEAD counts to the operation of its GET: they share what is cached."""
    return b"GET" + request[4:] if request.startswith(b"HEAD ") else request
