"""The simulation's inner loop: one clock, many requests, each running its program.

Two clocks in truth. What has a core of the host to itself at most is timed in *host time*, which
passes at the speed min(1, cores / busy threads); delays, timeouts and stations elsewhere in real
time. So a change of the speed moves no pending event, and each event costs O(log n).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

import loadpath.model.program as i
import loadpath.model.state as c
from loadpath.model.draws import Words, draw, exponential, uniform
from loadpath.model.heap import pop, push, remove
from loadpath.model.jit import called, digest, kept
from loadpath.model.state import State
from loadpath.model.tokens import (
    Text,
    begin_try,
    free_token,
    give_up,
    new_token,
    try_failed,
)
from loadpath.model.visits import (
    account_pool,
    acquire,
    arrive,
    catch_up,
    foresee,
    leave,
    make_ready,
    next_ready,
    release,
    unlink,
)
from loadpath.model.window import (
    ENDED_BADLY,
    ENDED_WELL,
    IN_SYSTEM_S,
    Window,
    close_window,
    open_window,
)

POISSON, EVENLY, USERS = range(3)
"""How requests come."""
DONE, CROWDED, STUCK = range(3)
"""How a run ended: well, with no room for one more token, with nothing left to happen."""


@called
def _run(  # noqa: PLR0912, PLR0915 (a loop over everything that can happen)
    text: Text,
    state: State,
    window: Window,
    streams: Words,
    cores: float,
    arrivals: int,
    rate: float,
    warm: int,
) -> int:
    """Run until `len(window.responses)` requests after the first `warm` have ended.

    `rate` is in requests per second, or the number of users. The last two streams are those of
    arrivals and of the mix.
    """
    code, numbers, tokens, times = text.code, text.numbers, state.tokens, state.times
    keys, items, sizes, places = state.keys, state.items, state.sizes, state.places
    stations, counters = state.stations, state.counters
    count = len(window.responses)
    coming, mixing = len(streams) - 2, len(streams) - 1
    now = host = in_system_s = in_system_last = 0.0
    in_system = started = 0
    ended_well = ended_badly = 0
    left = count
    closed = False
    due = math.inf
    if arrivals == USERS:
        pc = int(np.int64(0))  # not a literal, for which `draw` would be compiled once more
        for _ in range(int(rate)):
            token = new_token(state)
            tokens[token, c.PC] = pc
            pause = draw(
                streams, pc, code[pc, i.LAW], numbers[pc, i.P0], numbers[pc, i.P1], text.values,
                code[pc, i.FIRST], code[pc, i.COUNT],
            )  # fmt: skip
            push(keys, items, sizes, places, c.REAL, pause, token)
    else:
        due = exponential(streams, coming) / rate if arrivals == POISSON else 1.0 / rate
    while left > 0:
        # What comes next: an arrival, something in real time, something in host time.
        heap, station, at = -1, -1, due
        if sizes[c.REAL] > 0 and keys[c.REAL, 0] < at:
            heap, at = c.REAL, keys[c.REAL, 0]
        host_at = math.inf
        if sizes[c.HOST_TIME] > 0:
            host_at = keys[c.HOST_TIME, 0]
        own = -1
        if len(sizes) > c.OWN_TIME:
            for s in range(len(stations)):
                if stations[s, c.PS]:
                    ends = state.clocks[s, c.ENDS]
                    if stations[s, c.HOST]:
                        if ends < host_at:
                            host_at, own = ends, s
                    elif ends < at:
                        heap, at, station = stations[s, c.HEAP], ends, s
        busy = counters[c.HOST_BUSY]
        slowed = busy / cores if busy > cores else 1.0
        passing = max(0.0, (host_at - host) * slowed)
        if now + passing < at:
            at = now + passing
            host = host_at
            station = own
            heap = stations[own, c.HEAP] if own >= 0 else c.HOST_TIME
        elif at == math.inf:
            break
        else:
            host += (at - now) / slowed
        now = at

        token = -1
        if heap < 0:
            token = new_token(state)
            if token < 0:
                break
            due = now + (exponential(streams, coming) / rate if arrivals == POISSON else 1.0 / rate)
            tokens[token, c.PC] = 0
        else:
            token = pop(keys, items, sizes, places, heap)
        pc = int(tokens[token, c.PC])
        op = code[pc, i.OP]
        if op == i.THINK:
            if started == warm:
                open_window(state, window, now, host)
                in_system_s, in_system_last = 0.0, now
                ended_well = ended_badly = 0
            elif started == warm + count:
                close_window(state, window, now, host)
                closed = True
                in_system_s += in_system * (now - in_system_last)
                window.clock[IN_SYSTEM_S] = in_system_s
                window.clock[ENDED_WELL] = ended_well
                window.clock[ENDED_BADLY] = ended_badly
            in_system_s += in_system * (now - in_system_last)
            in_system_last = now
            in_system += 1
            which = 0
            if len(text.starts) > 1:
                u = uniform(streams, mixing)
                while which < len(text.starts) - 1 and text.shares[which] <= u:
                    which += 1
            tokens[token, c.KIND] = c.REQUEST
            tokens[token, c.INDEX] = started - warm
            tokens[token, c.OPERATION] = which
            tokens[token, c.STATUS] = c.OK
            times[token, c.BEGAN] = now
            started += 1
            pc = int(text.starts[which])
        elif op == i.SERVE:
            if station >= 0:
                catch_up(state, station, host if stations[station, c.HOST] else now)
            leave(state, code[pc, i.ARG], now, host)
            if station >= 0:
                foresee(state, station)
            pc = int(code[pc, i.UNDO]) if tokens[token, c.GIVEN_UP] else pc + 1
        elif op == i.DELAY:
            pc += 1
        elif op == i.ACQUIRE:
            pool = code[pc, i.ARG]
            account_pool(state, pool, now)
            unlink(state, pool, token)
            tokens[token, c.STATUS] = c.NO_SLOT
            pc = int(code[pc, i.UNDO])
        else:  # an attempt: out of time, or done with waiting for its next try
            child = int(tokens[token, c.CHILD])
            if child < 0:
                if not begin_try(text, state, token, now):
                    break
            else:
                tokens[child, c.PARENT] = -1
                if code[pc, i.EXTRA]:
                    give_up(text, state, child, now)
                try_failed(text, state, token, c.TIMED_OUT, now)
            token = -1

        # Let it go on, and all who can go on because of it, until each waits for something.
        full = False
        while True:
            if token < 0:
                token = next_ready(state)
                if token < 0:
                    break
                pc = int(tokens[token, c.PC])
            op = code[pc, i.OP]
            if op in (i.SERVE, i.DELAY, i.THINK):
                tokens[token, c.PC] = pc
                took = draw(
                    streams, pc, code[pc, i.LAW], numbers[pc, i.P0], numbers[pc, i.P1], text.values,
                    code[pc, i.FIRST], code[pc, i.COUNT],
                )  # fmt: skip
                if op == i.SERVE:
                    arrive(state, text.extras, code[pc, i.ARG], token, took, now, host)
                else:
                    push(keys, items, sizes, places, c.REAL, now + took, token)
                token = -1
            elif op == i.ACQUIRE:
                tokens[token, c.PC] = pc
                if acquire(state, code[pc, i.ARG], token, numbers[pc, i.LIMIT], now):
                    pc += 1
                else:
                    token = -1
            elif op == i.RELEASE:
                release(state, code[pc, i.ARG], now)
                pc += 1
            elif op == i.BRANCH:
                pc = pc + 1 if uniform(streams, pc) < numbers[pc, i.LIMIT] else int(code[pc, i.TO])
            elif op == i.JUMP:
                pc = int(code[pc, i.TO])
            elif op == i.SPAWN:
                numbers[pc, i.TALLY] += numbers[pc, i.LIMIT]
                while numbers[pc, i.TALLY] >= 1.0 and not full:
                    numbers[pc, i.TALLY] -= 1.0
                    child = new_token(state)
                    full = child < 0
                    if not full:
                        tokens[child, c.PC] = code[pc, i.FIRST]
                        tokens[child, c.KIND] = c.SPAWNED
                        make_ready(state, child)
                if full:
                    break
                pc = int(code[pc, i.TO])
            elif op == i.ATTEMPT:
                tokens[token, c.PC] = pc
                tokens[token, c.TRIES] = 0
                if not begin_try(text, state, token, now):
                    full = True
                    break
                token = -1
            elif tokens[token, c.KIND] == c.REQUEST:  # it ends, well or badly
                failed = bool(op == i.FAIL)
                ended_well += not failed
                ended_badly += failed
                in_system_s += in_system * (now - in_system_last)
                in_system_last = now
                in_system -= 1
                index = int(tokens[token, c.INDEX])
                if 0 <= index < count:
                    window.responses[index] = now - times[token, c.BEGAN]
                    window.outcomes[index] = tokens[token, c.STATUS]
                    window.operations[index] = tokens[token, c.OPERATION]
                    left -= 1
                if arrivals == USERS:
                    pc = 0
                else:
                    free_token(state, token)
                    token = -1
            else:
                parent = int(tokens[token, c.PARENT])
                status = tokens[token, c.STATUS]
                failed = bool(op == i.FAIL)
                free_token(state, token)
                token = -1
                if parent >= 0:
                    remove(keys, items, sizes, places, c.REAL, places[parent])
                    if failed:
                        try_failed(text, state, parent, status, now)
                    else:
                        token = parent
                        pc = int(code[tokens[parent, c.PC], i.TO])
        if full:
            break
    if not closed:
        close_window(state, window, now, host)
        window.clock[IN_SYSTEM_S] = in_system_s + in_system * (now - in_system_last)
        window.clock[ENDED_WELL] = ended_well
        window.clock[ENDED_BADLY] = ended_badly
    if left == 0:
        return DONE
    return CROWDED if now < math.inf and due < math.inf else STUCK


def _compiled(version: int) -> Callable[..., int]:
    def run(
        text: Text,
        state: State,
        window: Window,
        streams: Words,
        cores: float,
        arrivals: int,
        rate: float,
        warm: int,
    ) -> int:
        """Refers to `version`, so that what was compiled from other sources is not taken."""
        ended = _run(text, state, window, streams, cores, arrivals, rate, warm)
        return ended if version else -1

    return kept(run)


run = _compiled(digest())
"""`_run`, compiled once; same arguments."""
