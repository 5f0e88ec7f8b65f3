"""The table of processes, and whose an orphan is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from loadpath.deploy import family as families
from loadpath.deploy import processes
from loadpath.deploy.family import PART_VARIABLE, Family
from loadpath.deploy.processes import Entry


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


def entry(pid: int, parent: int, *, started: int = 0, session: int = 0, **rest: int) -> Entry:
    return Entry(pid, parent, rest.get("group", session), session, started, bool(rest.get("ended")))


def test_the_table_holds_this_process_and_its_child(sleeper: subprocess.Popen[bytes]) -> None:
    table = processes.table()
    assert table[os.getpid()].parent == os.getppid()
    assert table[sleeper.pid].parent == os.getpid()
    assert table[sleeper.pid].group == os.getpgrp()
    assert not table[sleeper.pid].ended
    assert sleeper.pid in processes.children_of(os.getpid())
    assert sleeper.pid in processes.tree((os.getpid(),))
    assert processes.name_of(sleeper.pid) == "sleep"


def test_a_process_that_was_not_waited_for_has_ended(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    found = processes.look(sleeper.pid)
    assert found is not None
    assert found.ended
    assert processes.tree((os.getpid(),)).count(sleeper.pid) == 0
    sleeper.wait()
    assert processes.look(sleeper.pid) is None


def test_names_with_parentheses_and_spaces_are_read(sleeper: subprocess.Popen[bytes]) -> None:
    script = "import ctypes, time; ctypes.CDLL(None).prctl(15, b') R 1 (', 0, 0, 0); print(1)"
    with subprocess.Popen(
        [sys.executable, "-uc", script + "; time.sleep(1000)"], stdout=subprocess.PIPE
    ) as odd:
        assert odd.stdout is not None
        odd.stdout.readline()
        found = processes.look(odd.pid)
        odd.kill()
    assert found is not None
    assert found.parent == os.getpid()


def test_ps_shows_the_same_family(sleeper: subprocess.Popen[bytes]) -> None:
    table = processes._table_of_ps()
    assert table[sleeper.pid].parent == os.getpid()
    assert table[sleeper.pid].group == os.getpgrp()
    # And not ps itself: what waits for its children to end would wait for ever.
    children = {entry.pid for entry in table.values() if entry.parent == os.getpid()}
    assert sleeper.pid in children
    assert children == {child.pid for child in psutil.Process().children()}


def test_a_later_process_of_the_same_pid_is_not_signaled(
    sleeper: subprocess.Popen[bytes],
) -> None:
    found = processes.look(sleeper.pid)
    assert found is not None
    assert not processes.send(found._replace(started=found.started - 1), signal.SIGKILL)
    assert sleeper.poll() is None
    assert processes.send(found, signal.SIGKILL)
    assert sleeper.wait() == -signal.SIGKILL
    assert not processes.send(found, signal.SIGKILL)


def test_descendants_come_parents_first_and_without_the_roots() -> None:
    table = {e.pid: e for e in (entry(2, 1), entry(3, 2), entry(4, 3), entry(5, 1), entry(6, 9))}
    assert [e.pid for e in processes.descendants(table, (2,))] == [3, 4]
    assert {e.pid for e in processes.descendants(table, (1,))} == {2, 3, 4, 5}


class TestFamily:
    """Child 1 is pid 10, a database whose program is /pg; child 2 is pid 20, a service."""

    @pytest.fixture
    def family(self, monkeypatch: pytest.MonkeyPatch) -> Family:
        environments = {
            31: f"A=1\0{PART_VARIABLE}=token.1\0",
            32: f"{PART_VARIABLE}=other.1\0",
            33: "\0\0\0",
            34: "A=1\0",
        }
        monkeypatch.setattr(
            families, "environment_of", lambda pid: environments.get(pid, "").encode()
        )
        monkeypatch.setattr(families, "program_of", lambda pid: "/pg" if pid == 33 else "/other")
        monkeypatch.setattr(families, "look", lambda pid: entry(pid, 1, started=pid))
        family = Family("token", root=1)
        family.add(1, 10, "/pg", signal.SIGQUIT)
        family.add(2, 20, "/python", signal.SIGTERM)
        return family

    @pytest.mark.parametrize(
        ("orphan", "child"),
        [
            (entry(31, 1, started=99), 1),
            (entry(40, 1, started=99, session=10), 1),
            (entry(41, 1, started=99, group=20), 2),
            (entry(33, 1, started=99), 1),
        ],
    )
    def test_an_orphan_shows_whose_it_is(self, family: Family, orphan: Entry, child: int) -> None:
        assert family.claim(orphan) == child
        assert family.owners({orphan.pid: orphan}, guess=False) == {orphan.pid: child}

    @pytest.mark.parametrize(
        ("started", "child"), [(5, None), (15, 1), (25, 2)], ids=["before", "between", "after"]
    )
    def test_one_that_shows_nothing_is_of_the_last_started_before_it(
        self, family: Family, started: int, child: int | None
    ) -> None:
        for pid in (32, 34):
            orphan = entry(pid, 1, started=started)
            assert family.claim(orphan) is None
            assert family.owner(orphan) == child
            assert family.owners({pid: orphan}, guess=False) == {}

    def test_descendants_belong_to_their_parents_child(self, family: Family) -> None:
        table = {
            e.pid: e
            for e in (
                entry(10, 1),
                entry(11, 10),
                entry(20, 1),
                entry(12, 11),
                entry(13, 11, ended=1),
            )
        }
        assert family.owners(table) == {10: 1, 11: 1, 12: 1, 20: 2}
        # And stay so when their parents have ended.
        assert family.owners({12: entry(12, 1)}) == {12: 1}
        assert {10, 11, 12, 20} <= family.seen
