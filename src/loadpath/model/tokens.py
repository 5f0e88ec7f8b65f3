"""Tokens for the kernel: made and freed; tries begun, failed and given up."""

from __future__ import annotations

from typing import NamedTuple

import loadpath.model.program as i
import loadpath.model.state as c
from loadpath.model.heap import push, remove
from loadpath.model.jit import called, inlined
from loadpath.model.program import Floats, Ints
from loadpath.model.state import State
from loadpath.model.visits import account_pool, make_ready, unlink


class Text(NamedTuple):
    """A compiled model as the kernel takes it; see `program.Compiled`."""

    code: Ints
    numbers: Floats
    values: Floats
    extras: Floats
    starts: Ints
    shares: Floats


@called
def begin_try(text: Text, state: State, parent: int, now: float) -> bool:
    """Start a try of the attempt that a token stands at; False when there is no room."""
    pc = state.tokens[parent, c.PC]
    child = new_token(state)
    if child < 0:
        return False
    state.tokens[child, c.PC] = text.code[pc, i.FIRST]
    state.tokens[child, c.KIND] = c.TRY
    state.tokens[child, c.PARENT] = parent
    state.tokens[parent, c.CHILD] = child
    due = now + text.numbers[pc, i.LIMIT]
    push(state.keys, state.items, state.sizes, state.places, c.REAL, due, parent)
    make_ready(state, child)
    return True


@called
def try_failed(text: Text, state: State, parent: int, status: int, now: float) -> None:
    """Wait for the next try, or fail where no more is left."""
    pc = state.tokens[parent, c.PC]
    tries = state.tokens[parent, c.TRIES]
    state.tokens[parent, c.CHILD] = -1
    if tries < text.code[pc, i.ARG]:
        state.tokens[parent, c.TRIES] = tries + 1
        due = now + text.numbers[pc, i.TALLY] * 2.0**tries
        push(state.keys, state.items, state.sizes, state.places, c.REAL, due, parent)
        return
    state.tokens[parent, c.STATUS] = status
    state.tokens[parent, c.PC] = text.code[pc, i.UNDO]
    make_ready(state, parent)


@called
def give_up(text: Text, state: State, token: int, now: float) -> None:
    """Cancel a try: what it has begun at a station is finished, all else ends now."""
    while token >= 0:
        inner = -1
        pc = state.tokens[token, c.PC]
        op = text.code[pc, i.OP]
        if op == i.SERVE:
            state.tokens[token, c.GIVEN_UP] = 1
            return
        if op == i.ACQUIRE:
            pool = text.code[pc, i.ARG]
            account_pool(state, pool, now)
            unlink(state, pool, token)
        elif op == i.ATTEMPT:
            inner = state.tokens[token, c.CHILD]
            if inner >= 0:
                state.tokens[inner, c.PARENT] = -1
                if text.code[pc, i.EXTRA] == 0:
                    inner = -1
        place = state.places[token]
        if place >= 0:
            remove(state.keys, state.items, state.sizes, state.places, c.REAL, place)
        state.tokens[token, c.PC] = text.code[pc, i.UNDO]
        make_ready(state, token)
        token = inner


@inlined
def new_token(state: State) -> int:
    token = state.counters[c.FREE_TOKEN]
    if token >= 0:
        state.counters[c.FREE_TOKEN] = state.tokens[token, c.NEXT]
    else:
        token = state.counters[c.FRESH_TOKEN]
        if token == len(state.tokens):
            return -1
        state.counters[c.FRESH_TOKEN] = token + 1
    state.counters[c.LIVE] += 1
    state.tokens[token, c.PARENT] = -1
    state.tokens[token, c.CHILD] = -1
    state.tokens[token, c.TRIES] = 0
    state.tokens[token, c.STATUS] = c.OK
    state.tokens[token, c.GIVEN_UP] = 0
    return int(token)


@inlined
def free_token(state: State, token: int) -> None:
    state.tokens[token, c.NEXT] = state.counters[c.FREE_TOKEN]
    state.counters[c.FREE_TOKEN] = token
    state.counters[c.LIVE] -= 1
