"""Real processes that burn a known amount of CPU, and what the meter says of them.

CPU time, not the clock, decides: the children spin until their own CPU clock says so, and report
what they used, so a busy machine changes nothing but how long it takes.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from loadpath.deploy import processes
from loadpath.meter import Meter, MeterTables, Usage, window
from loadpath.meter.tree import Parts
from loadpath.recording import Machine, Recording, RecordingWriter
from loadpath.spec import OpenArrivals, Service, Setup, Workload

PRELUDE = """
import os, sys, threading, time
def burn(seconds, clock=time.thread_time):
    until = clock() + seconds
    while clock() < until:
        pass
def say(value):
    print(value, flush=True)
    sys.stdin.readline()
"""


@contextlib.contextmanager
def child(script: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that runs `script` after `PRELUDE` and is ended in any case."""
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def foster_parent(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whether this process adopts orphans; servers that other tests share may have it do so."""
    before = processes.adopt_orphans(getattr(request, "param", False))
    yield
    processes.adopt_orphans(before)


def hear(process: subprocess.Popen[str]) -> str:
    """The next line the child says; it then waits for `go`."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    """Let the child go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def metered(script: str, interval_s: float = 0.05) -> tuple[Usage, MeterTables, str, int]:
    """Meter a child from its first line to its second; that second line comes back too."""
    with child(script) as process:
        hear(process)
        with Meter(lambda: {"service": (process.pid,)}, interval_s=interval_s) as meter:
            from_s = time.monotonic()
            go(process)
            said = hear(process)
            tables = meter.take()
        usage = window(tables.threads, tables.processes, tables.host, from_s, time.monotonic())
        return usage, tables, said, process.pid


def test_a_process_is_metered_to_the_millisecond() -> None:
    """0.3 s of CPU, by the child's own account, start-up before the window left out."""
    usage, _, said, pid = metered(
        "say(''); a = time.process_time(); burn(0.3); say(time.process_time() - a)"
    )
    assert usage.cpu_by_part["service"] == pytest.approx(float(said), abs=0.01)
    assert usage.covered_ratio > 0.9
    process = next(p for p in usage.processes if p.pid == pid)
    assert process.cpu_s == pytest.approx(float(said), abs=0.01)
    assert process.rss_bytes > 1 << 20


def test_threads_divide_it_and_ended_ones_are_not_lost() -> None:
    """One thread lives on, one ends; a total over live threads would lose the second."""
    usage, _, said, pid = metered(
        """
ended = threading.Thread(target=burn, args=(0.25,))
done = threading.Event()
def stay():
    burn(0.15)
    done.set()
    time.sleep(60)
say('')
a = time.process_time()
ended.start(); ended.join()
threading.Thread(target=stay, daemon=True).start()
done.wait()
say(time.process_time() - a)
"""
    )
    assert usage.cpu_by_part["service"] == pytest.approx(float(said), abs=0.01)
    of_process = [t for t in usage.threads if t.pid == pid]
    stayed = [t for t in of_process if t.tid != pid and t.cpu_s > 0.1]
    assert any(t.cpu_s == pytest.approx(0.15, abs=0.03) for t in stayed)
    assert all(t.wait_share >= 0 for t in of_process)


def test_children_that_come_and_go_between_samples_are_counted() -> None:
    """Forty children of 10 ms each, reaped; samples every half second see hardly any of them."""
    usage, _, said, _ = metered(
        """
import resource
def used():
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
say('')
a = used()
for _ in range(40):
    pid = os.fork()
    if pid == 0:
        burn(0.01)
        os._exit(0)
    os.waitpid(pid, 0)
say(used() - a)
""",
        interval_s=0.5,
    )
    assert float(said) > 0.4
    assert usage.cpu_by_part["service"] == pytest.approx(float(said), rel=0.05, abs=0.03)


def test_children_that_are_seen_are_not_counted_twice() -> None:
    """Children long enough to be sampled, whose parent inherits them afterwards."""
    usage, tables, said, pid = metered(
        """
import resource
def used():
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
say('')
a = used()
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        burn(0.15)
        os._exit(0)
    os.waitpid(pid, 0)
say(used() - a)
""",
        interval_s=0.03,
    )
    assert len(set(tables.processes["pid"].tolist()) - {pid, os.getpid()}) >= 3
    assert usage.cpu_by_part["service"] == pytest.approx(float(said), rel=0.05, abs=0.03)


@pytest.mark.parametrize("foster_parent", [False, True], indirect=True)
def test_orphans_stay_with_their_part(foster_parent: None) -> None:
    """A worker lives on when its parent was killed: it is still the service's, also where this
    process becomes its parent."""
    script = """
pid = os.fork()
if pid == 0:
    say(os.getpid())
    os.kill(os.getppid(), 9)
    burn(0.2)
    say('')
else:
    os.waitpid(pid, 0)
"""
    parts: Parts = {"loadpath": (os.getpid(),)}
    with child(script) as process:
        orphan = int(hear(process))
        with Meter(lambda: {**parts, "service": (process.pid,)}, interval_s=0.05) as meter:
            from_s = time.monotonic()
            go(process)
            hear(process)
            tables = meter.take()
            to_s = time.monotonic()
        go(process)
        with contextlib.suppress(ChildProcessError):  # it may have become ours
            os.waitpid(orphan, 0)
    usage = window(tables.threads, tables.processes, tables.host, from_s, to_s)
    of_orphan = next(p for p in usage.processes if p.pid == orphan)
    assert of_orphan.part == "service"
    assert of_orphan.cpu_s == pytest.approx(0.2, abs=0.03)


def test_each_process_belongs_to_the_nearest_root() -> None:
    """This process is an ancestor of everything it starts, which is not all `loadpath`."""
    with child("say(''); burn(0.1); say('')") as process:
        hear(process)
        parts: Parts = {"loadpath": (os.getpid(),), "service": (process.pid,)}
        with Meter(lambda: parts, interval_s=0.05) as meter:
            go(process)
            hear(process)
            tables = meter.take()
    part_of = dict(
        zip(tables.processes["pid"].tolist(), tables.processes["part"].tolist(), strict=True)
    )
    assert part_of[process.pid] == "service"
    assert part_of[os.getpid()] == "loadpath"


def test_what_others_use_is_told_from_what_is_ours(foster_parent: None) -> None:
    """Half a second of somebody else's CPU appears as others', not in any part."""
    script = """
if os.fork():
    os._exit(0)
say(os.getpid())
burn(0.5)
say('')
"""
    with child(script) as parent_of_stranger:
        stranger = int(hear(parent_of_stranger))
        parent_of_stranger.wait()
        with Meter(dict, interval_s=0.05) as meter:
            from_s = time.monotonic()
            go(parent_of_stranger)
            hear(parent_of_stranger)
            tables = meter.take()
            to_s = time.monotonic()
    usage = window(tables.threads, tables.processes, tables.host, from_s, to_s)
    assert stranger not in {process.pid for process in usage.processes}
    assert usage.host.others_cores * (to_s - from_s) > 0.4
    assert usage.host.busy_cores >= usage.host.others_cores
    accounted = usage.host.busy_cores + usage.host.idle_cores + usage.host.iowait_cores
    assert accounted + usage.host.steal_cores == pytest.approx(usage.host.cores, rel=0.05)


def test_a_kernel_that_lists_no_children_is_walked_by_parents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not every kernel is built with /proc/PID/task/TID/children."""
    monkeypatch.setattr("loadpath.meter.tree.read_children", lambda pid, tids: None)
    script = "if not os.fork():\n    say(os.getpid())\n    burn(0.1)\nelse:\n    os.wait()"
    with child(script) as process:
        forked = int(hear(process))
        with Meter(lambda: {"service": (process.pid,)}) as meter:
            tables = meter.take()
        go(process)
        process.wait()
    part_of = dict(
        zip(tables.processes["pid"].tolist(), tables.processes["part"].tolist(), strict=True)
    )
    assert part_of[forked] == "service"


def test_the_meter_meters_itself() -> None:
    """As part `loadpath`, and it says what a sample costs; alone, with nothing below it."""
    script = """
from loadpath.meter import Meter
with Meter(dict, interval_s=0.02) as meter:
    deadline = time.monotonic() + 10
    while meter.cost.ticks < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    tables = meter.take()
processes = tables.processes
print(*zip(processes["pid"].tolist(), processes["part"].tolist()), sep=";", flush=True)
print(*tables.threads["name"].tolist(), flush=True)
print(meter.cost.ticks, meter.cost.cpu_s, flush=True)
"""
    with child(script) as process:
        assert set(hear(process).split(";")) == {f"({process.pid}, 'loadpath')"}
        assert "meter" in hear(process) or sys.version_info < (3, 14)
        ticks, cpu_s = hear(process).split()
    assert int(ticks) >= 20
    assert 0 < float(cpu_s) / int(ticks) < 0.01


def test_memory_is_bounded() -> None:
    """Nobody takes the samples: later ones lie further apart, but reach from first to last."""
    meter = Meter(dict, interval_s=0.001, ticks_max=16)
    meter.start()
    deadline = time.monotonic() + 20
    while meter.cost.ticks < 200 and time.monotonic() < deadline:
        time.sleep(0.005)
    meter.stop()
    at_s = meter.take().host["at_s"]
    assert meter.cost.ticks >= 200
    assert len(at_s) <= 16
    assert (np.diff(at_s) > 0).all()


def test_an_error_in_the_thread_is_raised_where_somebody_sees_it() -> None:
    """The parts are asked for in the meter's thread; a failure there must not end in silence."""
    calls = 0

    def parts() -> Parts:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise RuntimeError("no parts any more")
        return {}

    meter = Meter(parts, interval_s=0.01)
    meter.start()
    deadline = time.monotonic() + 10
    while calls < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    with pytest.raises(RuntimeError, match="no parts"):
        meter.stop()


def test_parts_that_ended_are_no_error() -> None:
    """A root that is gone, or never was, has no rows."""
    with child("say('')") as process:
        hear(process)
    with Meter(lambda: {"service": (process.pid,)}, interval_s=0.05) as meter:
        tables = meter.take()
    assert "service" not in tables.processes["part"].tolist()


def test_what_was_metered_survives_being_recorded(tmp_path: Path) -> None:
    """The same figures from the recording as from memory."""
    machine = Machine(
        cores=1,
        cores_online=1,
        cpu_model="",
        memory_bytes=0,
        system="",
        kernel="",
        python="",
    )
    setup = Setup(
        service=Service(name="s", directory=Path(), start=("s",)),
        workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
    )
    with (
        RecordingWriter.create(tmp_path / "r", setup, name="r", machine=machine) as writer,
        Meter(dict, interval_s=0.02) as meter,
    ):
        tables = meter.take()
        writer.write_tables(0, tables)
        more = meter.take()
        writer.write_tables(1, more)
    recording = Recording.open(tmp_path / "r")
    assert recording.host()["at_s"].tolist() == [*tables.host["at_s"], *more.host["at_s"]]
    read = recording.processes()["cpu_s"]
    first = tables.processes["cpu_s"]
    np.testing.assert_array_equal(read[: len(first)], first)
