"""What happens at stations and pools, for the kernel: arrive, leave, wait, be given a slot.

Every change first adds what has passed since the last one to the areas under the number of jobs,
of busy servers and of CPU time, whose means over time are queue lengths and utilizations.
"""

from __future__ import annotations

import math

import loadpath.model.state as c
from loadpath.model.heap import push, remove
from loadpath.model.jit import inlined
from loadpath.model.program import Floats
from loadpath.model.state import State


@inlined
def account(state: State, s: int, now: float, host: float) -> None:
    """Add up what a station did since it last changed."""
    passed = now - state.clocks[s, c.LAST]
    busy = state.stations[s, c.BUSY]
    state.clocks[s, c.JOB_S] += state.stations[s, c.JOBS] * passed
    state.clocks[s, c.BUSY_S] += busy * passed
    if state.stations[s, c.HOST]:
        state.clocks[s, c.CPU_S] += busy * (host - state.clocks[s, c.LAST_HOST])
    else:
        state.clocks[s, c.CPU_S] += busy * passed
    state.clocks[s, c.LAST] = now
    state.clocks[s, c.LAST_HOST] = host


@inlined
def arrive(
    state: State, extras: Floats, s: int, token: int, work: float, now: float, host: float
) -> None:
    """Bring a token to a station: into service, or to the end of its queue.

    `extras` by station: what waking it up costs, what jobs share, and within which time they do.
    """
    account(state, s, now, host)
    stations = state.stations
    clock = host if stations[s, c.HOST] else now
    stations[s, c.VISITS] += 1
    idle = stations[s, c.BUSY] < stations[s, c.SERVERS]
    if idle:
        work += extras[s, 0]
        stations[s, c.BUSY] += 1
        state.counters[c.HOST_BUSY] += stations[s, c.HOST]
    if extras[s, 1] > 0 and now >= state.clocks[s, c.PAID]:
        work += extras[s, 1]
        state.clocks[s, c.PAID] = now + extras[s, 2]
    stations[s, c.JOBS] += 1
    shared = stations[s, c.PS] != 0
    if idle or shared:
        if shared:
            catch_up(state, s, clock)
            clock = state.clocks[s, c.OWN]
        _push(state, stations[s, c.HEAP], clock + work, token)
        if shared:
            foresee(state, s)
    else:
        state.times[token, c.WORK] = work
        state.tokens[token, c.NEXT] = -1
        last = stations[s, c.TAIL]
        if last < 0:
            stations[s, c.HEAD] = token
        else:
            state.tokens[last, c.NEXT] = token
        stations[s, c.TAIL] = token


@inlined
def leave(state: State, s: int, now: float, host: float) -> None:
    """After a token was taken from the heap: free its server, or give it the next in the queue."""
    account(state, s, now, host)
    stations = state.stations
    jobs = stations[s, c.JOBS] - 1
    stations[s, c.JOBS] = jobs
    following = stations[s, c.HEAD]
    if following >= 0:
        after = state.tokens[following, c.NEXT]
        stations[s, c.HEAD] = after
        if after < 0:
            stations[s, c.TAIL] = -1
        clock = host if stations[s, c.HOST] else now
        _push(state, stations[s, c.HEAP], clock + state.times[following, c.WORK], following)
    elif jobs < stations[s, c.SERVERS]:
        stations[s, c.BUSY] -= 1
        state.counters[c.HOST_BUSY] -= stations[s, c.HOST]


@inlined
def catch_up(state: State, s: int, clock: float) -> None:
    """Bring a shared station's own clock, the work that each of its jobs has had, up to date."""
    clocks = state.clocks
    clocks[s, c.OWN] += (clock - clocks[s, c.OWN_LAST]) * clocks[s, c.SPEED]
    clocks[s, c.OWN_LAST] = clock
    if state.sizes[state.stations[s, c.HEAP]] == 0:
        clocks[s, c.OWN] = 0.0  # keeps its digits


@inlined
def foresee(state: State, s: int) -> None:
    """After its jobs changed: how fast each goes now, and when the first of them ends."""
    jobs, servers = state.stations[s, c.JOBS], state.stations[s, c.SERVERS]
    heap = state.stations[s, c.HEAP]
    speed = servers / jobs if jobs > servers else 1.0
    state.clocks[s, c.SPEED] = speed
    state.clocks[s, c.ENDS] = math.inf
    if state.sizes[heap] > 0:
        left = state.keys[heap, 0] - state.clocks[s, c.OWN]
        state.clocks[s, c.ENDS] = state.clocks[s, c.OWN_LAST] + left / speed


@inlined
def account_pool(state: State, p: int, now: float) -> None:
    """Add up what a pool held since it last changed."""
    passed = now - state.waits[p, c.POOL_LAST]
    held = state.pools[p, c.SIZE] - state.pools[p, c.FREE]
    state.waits[p, c.HELD_S] += held * passed
    state.waits[p, c.WAITING_S] += state.pools[p, c.WAITING] * passed
    state.waits[p, c.POOL_LAST] = now


@inlined
def acquire(state: State, p: int, token: int, patience_s: float, now: float) -> bool:
    """Take a slot at once, or stand in line for it until patience ends."""
    account_pool(state, p, now)
    pools = state.pools
    if pools[p, c.FREE] > 0:
        pools[p, c.FREE] -= 1
        pools[p, c.GRANTS] += 1
        return True
    last = pools[p, c.LAST_WAITING]
    state.tokens[token, c.NEXT] = -1
    state.tokens[token, c.PREVIOUS] = last
    if last < 0:
        pools[p, c.FIRST_WAITING] = token
    else:
        state.tokens[last, c.NEXT] = token
    pools[p, c.LAST_WAITING] = token
    pools[p, c.WAITING] += 1
    state.places[token] = -1
    if patience_s < math.inf:
        _push(state, c.REAL, now + patience_s, token)
    return False


@inlined
def release(state: State, p: int, now: float) -> None:
    """Give a slot to the first in line, who is ready then, or back to the pool."""
    account_pool(state, p, now)
    first = state.pools[p, c.FIRST_WAITING]
    if first < 0:
        state.pools[p, c.FREE] += 1
        return
    unlink(state, p, first)
    state.pools[p, c.GRANTS] += 1
    if state.places[first] >= 0:
        _take_out(state, c.REAL, state.places[first])
    state.tokens[first, c.PC] += 1
    make_ready(state, first)


@inlined
def unlink(state: State, p: int, token: int) -> None:
    """Take a token out of the line for a pool, wherever it stands there."""
    before, after = state.tokens[token, c.PREVIOUS], state.tokens[token, c.NEXT]
    if before < 0:
        state.pools[p, c.FIRST_WAITING] = after
    else:
        state.tokens[before, c.NEXT] = after
    if after < 0:
        state.pools[p, c.LAST_WAITING] = before
    else:
        state.tokens[after, c.PREVIOUS] = before
    state.pools[p, c.WAITING] -= 1


@inlined
def make_ready(state: State, token: int) -> None:
    """Let a token go on at this very moment, after those that are ready already."""
    state.tokens[token, c.NEXT] = -1
    last = state.counters[c.READY_LAST]
    if last < 0:
        state.counters[c.READY_FIRST] = token
    else:
        state.tokens[last, c.NEXT] = token
    state.counters[c.READY_LAST] = token


@inlined
def next_ready(state: State) -> int:
    """Take the token that is to go on next; -1 when there is none."""
    first = state.counters[c.READY_FIRST]
    if first >= 0:
        after = state.tokens[first, c.NEXT]
        state.counters[c.READY_FIRST] = after
        if after < 0:
            state.counters[c.READY_LAST] = -1
    return int(first)


@inlined
def _push(state: State, heap: int, key: float, token: int) -> None:
    push(state.keys, state.items, state.sizes, state.places, heap, key, token)


@inlined
def _take_out(state: State, heap: int, place: int) -> None:
    remove(state.keys, state.items, state.sizes, state.places, heap, place)
