"""The tap process: relays bytes, and takes commands at its control socket until that is closed."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import resource
import signal
import socket
import sys
import traceback
from typing import Any

import uvloop

from loadpath.errors import LoadpathError
from loadpath.tap import messages
from loadpath.tap.messages import (
    CONTROL_FD,
    Answer,
    AskOrder,
    AskStats,
    BeginWindow,
    Begun,
    Came,
    Command,
    Ended,
    EndWindow,
    Failed,
    GiveOrder,
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
_PR_SET_PDEATHSIG = 1


async def serve(sock: socket.socket) -> None:
    """Answer commands, one at a time, until the other end is closed."""
    reader, writer = await asyncio.open_connection(sock=sock)
    relays = Relays()

    def on_fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        relays.fault(f"{context['message']}: {type(error).__name__}: {error}")
        if isinstance(error, Exception):
            traceback.print_exception(error)

    asyncio.get_running_loop().set_exception_handler(on_fault)
    try:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int.from_bytes(await reader.readexactly(messages.LENGTH_BYTES))
                command = messages.decode_command(await reader.readexactly(size))
                writer.write(messages.encode(await answer(relays, command)))
                await writer.drain()
    finally:
        relays.close()
        writer.close()


async def answer(relays: Relays, command: Command) -> Answer:
    """Do what is asked; what goes wrong is told to the other end, which raises it."""
    try:
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
            case GiveOrder(tap, order):
                return Ordered(await relays.order(tap, order))
            case WithdrawOrder(number):
                return Came(await relays.withdraw(number))
            case AskOrder(number):
                return Came(relays.order_state(number))
    except LoadpathError as error:
        return Failed(type(error).__name__, error.message, error.advice)
    except Exception as error:  # noqa: BLE001  a fault in here
        traceback.print_exception(error)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119
        return Failed("Exception", f"{type(error).__name__}: {error} ({where})")


def main() -> int:
    """Serve at descriptor 3. The exit status is 0 when the other end closed it."""
    # The other end decides what Ctrl-C means; it closes the socket when it wants an end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    try:
        sock = socket.socket(fileno=CONTROL_FD)
    except OSError:
        print(
            f"expected a socket as descriptor {CONTROL_FD}: "
            "this process is started by loadpath.tap.Taps",
            file=sys.stderr,
        )
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


def raise_file_limit() -> None:
    """Allow as many open files as the system does: every relayed connection takes two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it is gone: a second rope, for
    it ends by itself when its control socket is closed."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
