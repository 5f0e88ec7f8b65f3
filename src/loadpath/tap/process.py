"""The tap process: relays bytes, and takes commands at its control socket until that is closed."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import traceback
from functools import partial
from typing import Any

import uvloop

from loadpath.control.asking import answering
from loadpath.control.process import control_socket, raise_file_limit
from loadpath.tap.messages import (
    CODEC,
    Answer,
    AskOrder,
    AskStatements,
    AskStats,
    BeginWindow,
    Begun,
    Came,
    Command,
    Ended,
    EndWindow,
    GiveOrder,
    Kept,
    Opened,
    OpenTap,
    Ordered,
    Told,
    WithdrawOrder,
)
from loadpath.tap.relays import Relays

# The tables are made in a thread. Python lets a thread compute for so long before another has its
# turn, and bytes should not wait 5 ms, the default.
_THREAD_TURN_S = 0.0005
_GARBAGE_THRESHOLD = 50_000


async def serve(sock: socket.socket) -> None:
    """Answer commands, one at a time, until the other end is closed."""
    relays = Relays()

    def on_fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        relays.fault(f"{context['message']}: {type(error).__name__}: {error}")
        if isinstance(error, Exception):
            traceback.print_exception(error)

    asyncio.get_running_loop().set_exception_handler(on_fault)
    try:
        await answering(sock, CODEC, partial(answer, relays))
    finally:
        relays.close()


async def answer(relays: Relays, command: Command) -> Answer:
    """Do what is asked."""
    match command:
        case OpenTap(tap):
            return Opened(await relays.open(tap))
        case BeginWindow(window):
            relays.begin(window)
            return Begun()
        case EndWindow():
            return Ended(await relays.end())
        case AskStats():
            return Told(relays.stats())
        case AskStatements():
            return Kept(relays.statements())
        case GiveOrder(tap, order):
            return Ordered(await relays.order(tap, order))
        case WithdrawOrder(number):
            return Came(await relays.withdraw(number))
        case AskOrder(number):
            return Came(relays.order_state(number))


def main() -> int:
    """Serve at descriptor 3. The exit status is 0 when the other end closed it."""
    sock = control_socket("loadpath.tap.Taps")
    if sock is None:
        return 2
    sock.setblocking(False)
    raise_file_limit()
    sys.setswitchinterval(_THREAD_TURN_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD, 20, 50)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sock))
    return 0
