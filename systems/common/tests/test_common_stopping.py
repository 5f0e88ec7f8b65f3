"""What a process does between being told to stop and stopping."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

_PROGRAM = """
import asyncio, os, signal, sys, threading
from systems_common.stopping import hold_stop_signals

async def drain():
    await asyncio.sleep(0.2)
    print("drained", flush=True)

async def main(loop):
    stopped = asyncio.Event()
    def handle():
        print("server hears", flush=True)
        stopped.set()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, handle)
    {before}
    with hold_stop_signals() as stopping:
        stopping.tell, stopping.drain = lambda: print("told", flush=True), drain
        before_s = loop.time()
        {act}
        await asyncio.wait_for(stopped.wait(), 10.0)
    print(loop.time() - before_s >= 0.2, signal.pthread_sigmask(signal.SIG_BLOCK, ()), flush=True)

def uvloop_loop():
    import uvloop
    return uvloop.new_event_loop()

loop = {loop}()
loop.run_until_complete(main(loop))
"""


def run(act: str, *, before: str = "", loop: str = "asyncio.new_event_loop") -> list[str]:
    """The lines that a process prints which does this."""
    program = textwrap.dedent(_PROGRAM).format(act=act, before=before, loop=loop)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.parametrize("loop", ["asyncio.new_event_loop", "uvloop_loop"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_hears_of_the_signal_when_all_is_said(loop: str, number: int) -> None:
    lines = run(f"os.kill(os.getpid(), {number:d})", loop=loop)
    assert lines == ["told", "drained", "server hears", "True set()"]


def test_a_thread_of_the_process_does_not_take_the_signal_away() -> None:
    wait = "threading.Thread(target=threading.Event().wait, daemon=True).start()"
    lines = run(f"{wait}; os.kill(os.getpid(), signal.SIGTERM)")
    assert lines[:3] == ["told", "drained", "server hears"]


def test_a_thread_from_before_may_take_the_signal_and_then_it_is_said_at_once() -> None:
    wait = "threading.Thread(target=threading.Event().wait, daemon=True).start()"
    lines = run("os.kill(os.getpid(), signal.SIGTERM); await asyncio.sleep(0.5)", before=wait)
    assert sorted(lines[:3]) == ["drained", "server hears", "told"]


def test_before_there_is_anything_to_say_the_signal_goes_on() -> None:
    lines = run("stopping.__init__(); os.kill(os.getpid(), signal.SIGTERM)")
    assert lines[0] == "server hears"


def test_without_a_signal_nothing_is_said_and_the_signals_are_left_as_they_were() -> None:
    lines = run("stopped.set(); await asyncio.sleep(0.3)")
    assert lines == ["True set()"]
