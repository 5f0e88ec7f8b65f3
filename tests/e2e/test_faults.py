"""Faults of the machine and of the service: one message, the right exit code, nothing left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import loadpath

Place = Any

FAST = '[operations."GET /fast"]\nrequest = "GET /fast"\n'
SLOT = '[operations."GET /slot"]\nrequest = "GET /slot"\n'
DATABASE = '[dependencies.database]\nkind = "postgres"\nenv = { USED_DATABASE = "{port}" }\n'
BRIEFLY = ("--duration", "1", "--budget", "10")
NOBODY = 65534


def can_mount() -> bool:
    """Whether a disk of a test's own can be mounted here: root of a container often may not."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        return False
    try:
        trial = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
        return subprocess.run(trial, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


MOUNTS = pytest.mark.skipif(not can_mount(), reason="takes the right to mount a disk")


def ended_in(place: Place, mounts: str, *words: str, user: int | None = None) -> Any:
    """Run `loadpath` where those shell commands have mounted something, seen by nobody else."""
    python = place.command
    become = "" if user is None else f"setpriv --reuid {user} --regid {user} --clear-groups "
    place.command = ("unshare", "-m", "sh", "-c", f'{mounts} && exec {become}"$@"', "sh", *python)
    try:
        return place.run(*words)
    finally:
        place.command = python


def said(ended: Any) -> str:
    """What it printed on stderr, which holds no traceback."""
    assert "Traceback" not in ended.err, ended
    assert "fault in Loadpath itself" not in ended.err, ended
    return str(ended.err)


class TestFullDisk:
    @MOUNTS
    def test_where_runs_are_kept_it_ends_the_run_and_what_was_recorded_is_told(
        self, place: Place
    ) -> None:
        place.write(SLOT, rate="80/s")
        disk = place.folder / ".loadpath"
        disk.mkdir()
        # Mounted for this process too: what was recorded is looked at afterwards.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120k", "none", str(disk)], check=True)
        try:
            ended = place.run("run", *BRIEFLY, "--budget", "60")
            assert ended.code == 2, ended
            lines = said(ended).splitlines()
            (line,) = [line for line in lines if line.startswith("loadpath: ")]
            assert f"{disk}/runs/" in line
            assert "could not be written: No space left on device" in line
            assert re.search(r"the disk of \S+ has \d+ \w+ of 123 kB free", line)
            assert "Make room there, or record elsewhere with --runs" in lines[-1]
            assert place.left_in_the_end() == []
            report = place.run("report")
            assert report.code in (1, 3), report
            assert "interrupted" in report.out.splitlines()[0]
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    @MOUNTS
    @pytest.mark.parametrize("size", ["20m", "58m"])
    def test_where_temporary_files_are_made_it_is_named(self, place: Place, size: str) -> None:
        place.write(FAST, DATABASE)
        mounts = f"mount -t tmpfs -o size={size},mode=755 none {place.temporary}"
        ended = ended_in(place, mounts, "check")
        assert ended.code == 4, ended
        text = said(ended)
        assert re.search(rf"the disk of {place.temporary}\S* has \d+ \w+ of \d+ [kM]B free", text)
        assert "TMPDIR" in text


class TestSharedMemory:
    @MOUNTS
    @pytest.mark.parametrize("kind", ["ro", "size=64k"])
    def test_a_machine_without_it_runs_postgres_all_the_same(self, place: Place, kind: str) -> None:
        place.write(FAST, DATABASE)
        ended = ended_in(place, f"mount -t tmpfs -o {kind} none /dev/shm", "check")
        assert ended.code == 0, ended
        assert place.left_in_the_end() == []


class TestOrdinaryUser:
    """Root runs these for somebody else, whose Python and project are mounted where he may go."""

    def mounts(self, place: Place) -> str:
        """Everything that this Python is made of, mounted below one folder, read-only."""
        open_ = place.folder.parent / "python"
        sources = Path(loadpath.__file__).parents[1]
        home = {"base": sys.base_prefix, "venv": sys.prefix, "src": str(sources)}
        commands = []
        for name, path in home.items():
            (open_ / name).mkdir(parents=True)
            commands.append(f"mount --bind {path} {open_ / name}")
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = open_ / "venv" / "lib" / version / "site-packages"
        place.command = (str(open_ / "base" / "bin" / version), *place.command[1:])
        commands += [
            f"export LD_LIBRARY_PATH={open_ / 'base' / 'lib'}",
            f"export PYTHONPATH={open_ / 'src'}:{packages} HOME={place.temporary}",
            f"export PATH={open_ / 'venv' / 'bin'}:$PATH PYTHONDONTWRITEBYTECODE=1",
        ]
        os.chown(place.temporary, NOBODY, NOBODY)
        return " && ".join(commands)

    @MOUNTS
    def test_check_works_and_a_project_that_is_read_only_says_where_to_record(
        self, place: Place
    ) -> None:
        start = f"{place.folder.parent}/python/base/bin/python3 service.py {{port}}"
        cache = '[dependencies.cache]\nkind = "valkey"\nenv = { USED_CACHE = "{port}" }\n'
        queue = '[dependencies.queue]\nkind = "nats"\nenv = { USED_QUEUE = "{port}" }\n'
        place.write(SLOT, DATABASE, cache, queue, start=start)
        mounts = self.mounts(place)
        ended = ended_in(place, mounts, "check", user=NOBODY)
        assert ended.code == 0, ended
        assert place.left_in_the_end() == []

        ended = ended_in(place, mounts, "run", *BRIEFLY, user=NOBODY)
        assert ended.code == 2, ended
        assert f"cannot record in {place.folder}/.loadpath/runs: Permission denied" in said(ended)
        assert "record elsewhere: --runs FOLDER" in ended.err
        assert not (place.folder / ".loadpath").exists()

    def test_elsewhere_is_where_it_records(self, place: Place) -> None:
        place.write(SLOT)
        place.folder.chmod(0o555)
        runs = place.folder.parent / "runs"
        started = place.start("run", *BRIEFLY, "--json", "--runs", runs)
        started.until_event(event="PhaseFinished")
        ended = started.end(signal.SIGINT)
        assert ended.code == 130, ended
        (name,) = [path.name for path in runs.iterdir() if path.name != "latest"]
        assert f"`loadpath report ../runs/{name}`" in ended.err
        assert not (place.folder / ".loadpath").exists()
        report = place.run("report", str(runs / "latest"))
        assert report.code in (0, 1, 3), report
        assert report.out.startswith("shop · 1 operation")


class TestServicesThatMisbehave:
    def script(self, place: Place, code: str) -> None:
        (place.folder / "wrapper.py").write_text(code)
        place.write(FAST, start=f"{sys.executable} wrapper.py {{port}}")

    def test_one_that_floods_its_log_is_told_and_its_log_stays_small(self, place: Place) -> None:
        self.script(
            place,
            "import sys, threading, runpy\n"
            "def flood():\n"
            "    while True:\n"
            "        sys.stderr.write('nothing new\\n' * 2000)\n"
            "threading.Thread(target=flood, daemon=True).start()\n"
            "runpy.run_path('service.py')\n",
        )
        started = place.start("serve", PYTHONUNBUFFERED="1")
        started.until(lambda: "printed more than 8 MB" in started.err)
        log = re.search(r"^  service +(/.*service\.log)$", started.out, re.MULTILINE)
        assert log is not None
        ended = started.end(signal.SIGTERM)
        assert ended.code == 0, ended
        assert ended.err.count("printed more than 8 MB: only the last part") == 1
        assert place.left_in_the_end() == []

    def test_one_that_ignores_sigterm_is_killed_and_that_is_told(self, place: Place) -> None:
        self.script(
            place,
            "import runpy, signal\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "runpy.run_path('service.py')\n",
        )
        ended = place.run("check")
        assert ended.code == 0, ended
        assert "! the service did not end within 2 s of SIGTERM: 1 process had to be" in ended.err
        assert place.left_in_the_end() == []

    def test_one_that_becomes_a_daemon_answers_and_is_ended(self, place: Place) -> None:
        self.script(
            place,
            "import os, runpy\n"
            "if os.fork(): os._exit(0)\n"
            "os.setsid()\n"
            "if os.fork(): os._exit(0)\n"
            "runpy.run_path('service.py')\n",
        )
        ended = place.run("check")
        assert ended.code == 0, ended
        assert "✓ every operation answers" in ended.out
        assert place.left_in_the_end() == []

    def test_one_that_ends_by_itself_under_load_is_told_with_its_last_lines(
        self, place: Place
    ) -> None:
        self.script(
            place,
            "import os, runpy, threading\n"
            "def end():\n"
            "    print('out of luck', flush=True)\n"
            "    os._exit(9)\n"
            "threading.Timer(3, end).start()\n"
            "runpy.run_path('service.py')\n",
        )
        ended = place.run("run", *BRIEFLY)
        assert ended.code == 4, ended
        text = said(ended)
        assert "the service exited with 9 while it was needed" in text
        assert "    out of luck" in text
        assert place.left_in_the_end() == []


class TestWhoeverReadsGoes:
    """A pipe that closes changes nothing but what is printed into it."""

    def run_without(self, place: Place, *words: str, streams: tuple[str, ...]) -> tuple[int, str]:
        process = subprocess.Popen(
            [*place.command, *words],
            cwd=place.folder,
            env=place.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for stream in streams:
            getattr(process, stream).close()
        rest = [s for s in ("stdout", "stderr") if s not in streams]
        text = "".join(getattr(process, stream).read() for stream in rest)
        code = process.wait(120)
        for stream in rest:
            getattr(process, stream).close()
        return code, text

    @pytest.mark.parametrize("flag", ["-v", "--json"])
    def test_progress_that_nobody_reads_does_not_end_a_check(self, place: Place, flag: str) -> None:
        place.write(FAST)
        code, out = self.run_without(place, "check", flag, streams=("stderr",))
        assert code == 0
        assert "GET /fast" in out

    def test_answers_that_nobody_reads_leave_the_exit_code(self, place: Place) -> None:
        place.write(FAST, '[operations."GET /broken"]\nrequest = "GET /broken"\n')
        assert self.run_without(place, "check", "-q", streams=("stdout",)) == (1, "")
        assert self.run_without(place, "check", streams=("stdout", "stderr"))[0] == 1

    @pytest.mark.parametrize("words", [("report", "nothing"), ("check", "--nonsense")])
    def test_an_error_that_nobody_reads_still_ends_in_its_code(
        self, place: Place, words: tuple[str, ...]
    ) -> None:
        place.write(FAST)
        assert self.run_without(place, *words, streams=("stderr",)) == (2, "")
