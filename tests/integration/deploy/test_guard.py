"""The guard: what it starts, how it reports, and what it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from loadpath.deploy import Guard, processes
from loadpath.errors import WouldNotRunError

PYTHON = sys.executable
FORGETS_ITS_CHILDREN = """
import os, sys, time
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        time.sleep(1000)
print("forked", flush=True)
os.wait(); os.wait()
"""


@pytest.fixture
def output(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    path = tmp_path / "output"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    yield descriptor, path
    os.close(descriptor)


def with_guard(work: Callable[[Guard], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Guard() as guard:
            await work(guard)

    asyncio.run(main())


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_child_gets_what_it_was_given(output: tuple[int, Path], tmp_path: Path) -> None:
    descriptor, path = output
    read_end, write_end = os.pipe()

    async def work(guard: Guard) -> None:
        script = (
            "import os; print(os.getcwd(), os.environ['COLOR'], os.environ.get('HOME'), "
            "os.read(7, 10), os.getsid(0) == os.getpid(), os.read(0, 1))"
        )
        child = await guard.spawn(
            [PYTHON, "-c", script],
            name="child",
            env={"COLOR": "blé"},
            cwd=tmp_path,
            fds={7: read_end},
            stdout=descriptor,
        )
        assert await child.wait() == 0
        assert child.returncode == 0
        assert child.name == "child"

    os.write(write_end, b"hello")
    with_guard(work)
    os.close(read_end)
    os.close(write_end)
    assert path.read_text() == f"{tmp_path} blé None b'hello' True b''\n"


def test_without_an_environment_and_a_folder_it_has_ours(
    output: tuple[int, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLOR", "green")
    monkeypatch.chdir(tmp_path)

    async def work(guard: Guard) -> None:
        child = await guard.spawn(["sh", "-c", "echo $COLOR; pwd"], name="child", stdout=output[0])
        await child.wait()

    with_guard(work)
    assert output[1].read_text() == f"green\n{tmp_path}\n"


def test_an_environment_larger_than_a_socket_buffer_arrives(output: tuple[int, Path]) -> None:
    env = {f"V{n}": "x" * 60_000 for n in range(20)}

    async def work(guard: Guard) -> None:
        script = "import os; print(sum(map(len, os.environ.values())) > 1_000_000)"
        child = await guard.spawn([PYTHON, "-c", script], name="c", env=env, stdout=output[0])
        assert await child.wait() == 0

    with_guard(work)
    assert output[1].read_text() == "True\n"


def signal_sets(status: str) -> tuple[int, int]:
    """The signals blocked and ignored by a process, as bits, by its /proc/PID/status."""
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["SigBlk"], 16), int(fields["SigIgn"], 16)


def test_the_guard_ignores_no_signal_on_its_childrens_behalf(output: tuple[int, Path]) -> None:
    async def work(guard: Guard) -> None:
        command = ["sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status"]
        await (await guard.spawn(command, name="child", stdout=output[0])).wait()

    with_guard(work)
    blocked, ignored = signal_sets(output[1].read_text())
    own_blocked, own_ignored = signal_sets(Path("/proc/self/status").read_text())
    # What the shell that runs the tests ignores or blocks already is not the guard's doing, but
    # what Python ignores for itself it must not hand on.
    pythons = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
    assert blocked & ~own_blocked == 0
    assert ignored & ~own_ignored == 0
    assert ignored & pythons == 0


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -9 $$", -9), ("true", 0)])
def test_the_return_code_is_reported(script: str, code: int) -> None:
    async def work(guard: Guard) -> None:
        child = await guard.spawn(["sh", "-c", script], name="child")
        assert await child.wait() == code
        assert child.returncode == code

    with_guard(work)


@pytest.mark.parametrize(
    ("argv", "cwd", "error"),
    [
        (["no-such-program"], None, FileNotFoundError),
        ([str(Path(__file__))], None, PermissionError),
        (["true"], Path("/no/such/folder"), FileNotFoundError),
        (["nul\0byte"], None, OSError),
    ],
)
def test_what_cannot_be_started_is_an_error_of_spawn(
    argv: list[str], cwd: Path | None, error: type[OSError]
) -> None:
    async def work(guard: Guard) -> None:
        with pytest.raises(error):
            await guard.spawn(argv, name="child", cwd=cwd)
        # And the guard is as good as before.
        assert await (await guard.spawn(["true"], name="child")).wait() == 0

    with_guard(work)


def test_many_children_at_once() -> None:
    async def work(guard: Guard) -> None:
        commands = [["sh", "-c", f"exit {n}"] for n in range(50)]
        children = await asyncio.gather(*(guard.spawn(c, name="child") for c in commands))
        assert await asyncio.gather(*(child.wait() for child in children)) == list(range(50))

    with_guard(work)


def test_a_signal_reaches_the_child_and_one_that_has_ended_is_left_alone() -> None:
    async def work(guard: Guard) -> None:
        child = await guard.spawn(["sleep", "1000"], name="child")
        child.signal(signal.SIGUSR1)
        assert await child.wait() == -signal.SIGUSR1
        child.signal(signal.SIGKILL)
        assert await (await guard.spawn(["true"], name="child")).wait() == 0

    with_guard(work)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_root_can_start_a_child_as_another_user(output: tuple[int, Path]) -> None:
    async def work(guard: Guard) -> None:
        child = await guard.spawn(
            ["sh", "-c", "id -u; id -g; id -G; grep -c . /proc/self/environ"],
            name="child",
            stdout=output[0],
            user=65534,
            group=65533,
        )
        await child.wait()

    with_guard(work)
    assert output[1].read_text().split()[:3] == ["65534", "65533", "65533"]


def test_leaving_the_guard_ends_everything_and_removes_its_folders(tmp_path: Path) -> None:
    pids: list[int] = []
    folders: list[Path] = []

    async def work(guard: Guard) -> None:
        ignores = "import signal, time; signal.signal(15, 1); print(1); time.sleep(1000)"
        for argv in (["sleep", "1000"], [PYTHON, "-c", ignores]):
            pids.append((await guard.spawn(argv, name="child")).pid)
        pids.append(guard.pid)
        folders.append(guard.make_folder())
        (folders[0] / "below").mkdir()
        (folders[0] / "below" / "file").write_text("x")
        (folders[0] / "below").chmod(0o500)
        other = tmp_path / "other"
        other.write_text("x")
        guard.remove_at_end(other)
        folders.append(other)
        assert stat.S_IMODE(folders[0].stat().st_mode) == 0o700

    with_guard(work)
    assert [pid for pid in pids if processes.look(pid)] == []
    assert [folder for folder in folders if folder.exists()] == []


def test_what_is_nobodys_temporary_folder_is_not_removed() -> None:
    async def work(guard: Guard) -> None:
        for path in (Path("/"), Path.home(), Path.cwd(), Path.cwd().parent):
            with pytest.raises(ValueError, match="will not be removed"):
                guard.remove_at_end(path)

    with_guard(work)


def test_orphans_belong_to_the_child_they_come_from_and_end_with_it(
    output: tuple[int, Path],
) -> None:
    async def work(guard: Guard) -> None:
        bystander = await guard.spawn(["sleep", "1000"], name="bystander")
        child = await guard.spawn(
            [PYTHON, "-c", FORGETS_ITS_CHILDREN], name="child", stdout=output[0]
        )
        later = await guard.spawn(["sleep", "1000"], name="later")
        assert await child.wait() == 0
        await until(lambda: len(guard.roots(child)) == 2)
        orphans = guard.roots(child)
        assert child.pid not in orphans
        assert guard.roots(bystander) == (bystander.pid,)
        assert guard.roots(later) == (later.pid,)
        assert await guard.end(child, timeout_s=5.0) == 0
        assert guard.roots(child) == ()
        assert [pid for pid in orphans if processes.look(pid)] == []
        assert bystander.returncode is later.returncode is None

    with_guard(work)


def test_ending_asks_first_and_kills_what_does_not_listen() -> None:
    ignores = "import signal, time, os; signal.signal(15, 1); os.fork(); time.sleep(1000)"

    async def work(guard: Guard) -> None:
        polite = await guard.spawn(["sleep", "1000"], name="polite")
        assert await guard.end(polite, timeout_s=5.0) == 0
        assert polite.returncode == -signal.SIGTERM
        rude = await guard.spawn([PYTHON, "-c", ignores], name="rude")
        await until(lambda: len(processes.tree((rude.pid,))) == 2)
        assert await guard.end(rude, timeout_s=0.1) == 2
        assert rude.returncode == -signal.SIGKILL

    with_guard(work)


def test_a_stopped_child_is_continued_before_it_is_asked(output: tuple[int, Path]) -> None:
    async def work(guard: Guard) -> None:
        script = "trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
        child = await guard.spawn(["sh", "-c", script], name="child", stdout=output[0])
        await until(lambda: "ready" in output[1].read_text())
        child.signal(signal.SIGSTOP)
        assert await guard.end(child, timeout_s=10.0) == 0
        assert "asked" in output[1].read_text()

    with_guard(work)


def test_a_child_whose_spawn_was_cancelled_is_ended() -> None:
    async def work(guard: Guard) -> None:
        spawning = asyncio.ensure_future(guard.spawn(["sleep", "1000"], name="child"))
        await asyncio.sleep(0)
        spawning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await spawning
        # The guard obeys in order, so its child was there before this one.
        await (await guard.spawn(["true"], name="child")).wait()
        await until(lambda: processes.tree((guard.pid,)) == [guard.pid])

    with_guard(work)


def test_a_killed_guard_is_said_and_its_children_are_gone() -> None:
    async def main() -> None:
        with pytest.raises(WouldNotRunError, match="guard process"):
            async with Guard() as guard:
                own = await asyncio.create_subprocess_exec("sleep", "1000", start_new_session=True)
                child = await guard.spawn(["sh", "-c", "setsid sleep 1000; true"], name="child")
                await until(lambda: len(processes.tree((child.pid,))) == 2)
                tree = processes.tree((child.pid,))
                folder = guard.make_folder()
                os.kill(guard.pid, signal.SIGKILL)
                assert await child.wait() == -signal.SIGKILL
                assert [pid for pid in tree if processes.look(pid)] == []
                assert not folder.exists()
                # A child that is not the guard's is no business of it.
                assert own.returncode is None
                own.kill()
                await own.wait()
                await guard.spawn(["true"], name="child")

    asyncio.run(main())


def test_a_closed_guard_starts_nothing_and_has_nothing_to_end() -> None:
    async def main() -> None:
        async with Guard() as guard:
            child = await guard.spawn(["sleep", "1000"], name="child")
        assert child.returncode == -signal.SIGTERM
        assert await guard.end(child, timeout_s=1.0) == 0
        with pytest.raises(RuntimeError, match="closed"):
            await guard.spawn(["true"], name="child")

    asyncio.run(main())


def test_two_guards_do_not_mix() -> None:
    async def main() -> None:
        async with Guard() as one:
            kept = await one.spawn(["sleep", "1000"], name="kept")
            async with Guard() as two:
                await two.spawn(["sleep", "1000"], name="ended")
            assert kept.returncode is None
            assert await (await one.spawn(["true"], name="child")).wait() == 0

    asyncio.run(main())


def adopts_orphans() -> bool:
    before = processes.adopt_orphans()
    processes.adopt_orphans(before)
    return before


def test_guards_that_overlap_leave_this_process_as_it_was() -> None:
    async def main() -> None:
        first, second = Guard(), Guard()
        await first.__aenter__()
        await second.__aenter__()
        await first.__aexit__(None, None, None)
        assert adopts_orphans()  # the second still wants it
        await second.__aexit__(None, None, None)

    before = adopts_orphans()
    asyncio.run(main())
    assert adopts_orphans() == before
