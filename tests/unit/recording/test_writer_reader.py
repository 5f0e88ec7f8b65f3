"""A recording while it is made, afterwards, and when its maker was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from loadpath.errors import ExitCode, RecordingError
from loadpath.events import PhaseStarted, Warned
from loadpath.recording import (
    HoldCount,
    HoldsRecord,
    Machine,
    Recording,
    RecordingWriter,
    SegmentRecord,
    write_requests,
)
from loadpath.recording.schema import (
    CONNECTIONS,
    EXCHANGES,
    HOST,
    PROCESSES,
    REQUESTS,
    SHAPES,
    THREADS,
    TableSchema,
)
from loadpath.recording.tables import numpy_type, write_table
from loadpath.spec import (
    DeclaredRequest,
    KeySet,
    OpenArrivals,
    Operation,
    Service,
    Setup,
    Workload,
)

MACHINE = Machine(
    cores=2,
    cores_online=2,
    cpu_model="a model",
    memory_bytes=8 << 30,
    system="Linux",
    kernel="6.1",
    python="CPython 3.11",
)

SETUP = Setup(
    service=Service(
        name="shop",
        directory=Path("/home/ada/shop"),
        start=("shop", "--port", "{port}"),
        env={"LOG_LEVEL": "warning", "STRIPE_KEY": "sk_live"},
    ),
    workload=Workload(
        arrivals=OpenArrivals(rate_per_s=200.0),
        operations=(
            Operation(
                name="GET /{item}",
                request=DeclaredRequest(method="GET", path="/{item}", keys={"item": "items"}),
            ),
            Operation(name="POST /orders", alone=False),
        ),
        key_sets=(KeySet(name="items", count=10, file=Path("/home/ada/keys.txt")),),
        flows=Path("/home/ada/shop/workload.py"),
    ),
    seed=7,
    knobs={"pool": "5"},
)


class Tables(msgspec.Struct, frozen=True):
    """What a meter would hand over."""

    threads: dict[str, np.ndarray[Any, Any]]
    processes: dict[str, np.ndarray[Any, Any]]
    host: dict[str, np.ndarray[Any, Any]]


def rows(table: TableSchema, count: int = 2, **columns: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Rows of zeros and empty names, but for `columns`."""
    made = {c.name: np.zeros(count, numpy_type(c.type)) for c in table.columns}
    for column in table.columns:
        if column.type == "text":
            made[column.name] = np.full(count, "", dtype=object)
    return {**made, **{name: np.asarray(values) for name, values in columns.items()}}


def segment(index: int = 0, **fields: Any) -> SegmentRecord:
    """A finished segment."""
    values: dict[str, Any] = {
        "index": index,
        "purpose": "ramp",
        "load": {"rate_per_s": 200.0, "end_rate_per_s": None, "process": "poisson"},
        "duration_s": 4.0,
        "weights": {"GET /{item}": 1.0},
        "started_s": 100.0,
        "ended_s": 104.0,
        "drained_s": 104.1,
        **fields,
    }
    return SegmentRecord(**values)


def new_writer(folder: Path) -> RecordingWriter:
    """A recording called `baseline`."""
    return RecordingWriter.create(folder, SETUP, name="baseline", machine=MACHINE)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Header, segments, events and every table, from a finished recording."""
    event = PhaseStarted(at_s=5.0, phase="ramp")
    with new_writer(tmp_path / "deep" / "01-baseline") as writer:
        for index in (0, 1):
            write_requests(writer.requests_path(index), rows(REQUESTS, segment=[index] * 2))
            writer.write_tables(
                index,
                Tables(
                    threads=rows(THREADS, name=["loop", "tokio"]),
                    processes=rows(PROCESSES, at_s=[index, index + 0.5]),
                    host=rows(HOST, 1),
                ),
            )
            writer.append_segment(segment(index))
        writer.append_event(event)
        writer.append_event(Warned(at_s=6.0, message="slow"))
    recording = Recording.open(tmp_path / "deep" / "01-baseline")
    assert recording.status == "complete"
    assert recording.name == "baseline"
    assert recording.header.seed == 7
    assert recording.header.machine == MACHINE
    assert recording.operations == ("GET /{item}", "POST /orders")
    assert recording.segments == (segment(0), segment(1))
    assert recording.events() == (event, Warned(at_s=6.0, message="slow"))
    assert recording.requests(1)["segment"].tolist() == [1, 1]
    assert recording.processes()["at_s"].tolist() == [0, 0.5, 1, 1.5]
    assert recording.threads()["name"].tolist() == ["loop", "tokio"] * 2
    assert len(recording.host()["at_s"]) == 2
    assert len(recording.postgres()["at_s"]) == 0
    assert len(recording.exchanges(0)["shape"]) == 0


def test_what_crossed_the_taps_is_read_by_segment(tmp_path: Path) -> None:
    """A segment that did not finish has none to read."""
    with new_writer(tmp_path / "r") as writer:
        for index in (0, 1):
            write_table(writer.exchanges_path(index), EXCHANGES, rows(EXCHANGES, shape=[4, 2]))
            write_table(writer.connections_path(index), CONNECTIONS, rows(CONNECTIONS, 1))
            texts = {"shape": [2, 4], "text": ["SELECT 1", f"link:{index}"]}
            write_table(writer.shapes_path(index), SHAPES, rows(SHAPES, **texts))
        write_requests(writer.requests_path(1), rows(REQUESTS))
        writer.append_segment(segment(1))
    recording = Recording.open(tmp_path / "r")
    assert recording.exchanges(1)["shape"].tolist() == [4, 2]
    assert recording.shapes(1) == {2: "SELECT 1", 4: "link:1"}
    assert len(recording.connections(1)["opened_s"]) == 1
    with pytest.raises(RecordingError, match="no finished segment 0"):
        recording.exchanges(0)


def test_the_setup_comes_back_without_secrets_and_without_folders(tmp_path: Path) -> None:
    """What `judge` needs stays: workload, objectives, knobs, workers."""
    with new_writer(tmp_path / "r"):
        pass
    setup = Recording.open(tmp_path / "r").setup
    assert setup.service.env == {"LOG_LEVEL": "warning", "STRIPE_KEY": "***"}
    assert setup.service.directory == Path("shop")
    assert setup.workload.flows == Path("workload.py")
    assert setup.workload.arrivals == SETUP.workload.arrivals
    assert setup.workload.operations == SETUP.workload.operations
    assert setup.knobs == {"pool": "5"}
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"sk_live" not in everything
    assert b"ada" not in everything


def test_the_clock_maps_to_the_calendar(tmp_path: Path) -> None:
    """A monotonic time of the recording is `created` in Unix time."""
    with new_writer(tmp_path / "r"):
        pass
    clock = Recording.open(tmp_path / "r").header.clock
    assert clock.to_unix_s(clock.monotonic_s + 2.5) == pytest.approx(clock.unix_s + 2.5)


def test_checks_of_acknowledged_writes_are_kept(tmp_path: Path) -> None:
    """From any struct with those fields; a recording without them says None."""
    count = HoldCount(acknowledged=9, checked=5, held=4, broken=1, unknown=0)
    with new_writer(tmp_path / "r") as writer:
        assert Recording.open(tmp_path / "r").holds() is None
        found = HoldsRecord(kinds={"order": count}, first_broken={"order": "id 3"})
        writer.write_holds(found)
    assert Recording.open(tmp_path / "r").holds() == found
    (tmp_path / "r" / "holds.json").write_text("{")
    with pytest.raises(RecordingError, match=r"holds\.json is damaged"):
        Recording.open(tmp_path / "r").holds()


def test_it_can_be_read_while_it_is_made(tmp_path: Path) -> None:
    """The next phase of a run looks at what the one before recorded."""
    writer = new_writer(tmp_path / "r")
    writer.append_segment(segment(0))
    recording = Recording.open(tmp_path / "r")
    assert recording.status == "running"
    assert [each.index for each in recording.segments] == [0]
    writer.finish()
    assert Recording.open(tmp_path / "r").status == "complete"


def test_leaving_by_an_exception_marks_it_interrupted(tmp_path: Path) -> None:
    """Ctrl-C keeps what was recorded."""
    with pytest.raises(KeyboardInterrupt), new_writer(tmp_path / "r") as writer:
        writer.append_segment(segment(0))
        raise KeyboardInterrupt
    recording = Recording.open(tmp_path / "r")
    assert recording.status == "interrupted"
    assert len(recording.segments) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
import msgspec
from test_writer_reader import REQUESTS, new_writer, rows, segment, write_requests
writer = new_writer(Path(sys.argv[1]))
write_requests(writer.requests_path(0), rows(REQUESTS))
writer.append_segment(segment(0))
write_requests(writer.requests_path(1), rows(REQUESTS))
line = msgspec.json.encode(segment(1))
os.write(writer._segments.fd, line[:40])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_leaves_a_readable_recording(tmp_path: Path) -> None:
    """Killed in the middle of a line: the segments before are there, the half one is not."""
    path = tmp_path / "r"
    search_path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)],
        env={**os.environ, "PYTHONPATH": search_path},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    recording = Recording.open(path)
    assert recording.status == "interrupted"
    assert [each.index for each in recording.segments] == [0]
    assert len(recording.requests(0)["done_s"]) == 2
    with pytest.raises(RecordingError, match="no finished segment 1"):
        recording.requests(1)


def test_damage_in_the_middle_is_named_by_line(tmp_path: Path) -> None:
    """That is not what a kill leaves, so it is not passed over."""
    with new_writer(tmp_path / "r") as writer:
        writer.append_segment(segment(0))
    file = tmp_path / "r" / "segments.jsonl"
    file.write_bytes(b'{"index": "zero"}\n' + file.read_bytes())
    with pytest.raises(RecordingError, match=r"segments\.jsonl:1 is damaged.*index"):
        Recording.open(tmp_path / "r")


def test_fields_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    """And those that an earlier one did not write take their defaults."""
    with new_writer(tmp_path / "r") as writer:
        writer.append_segment(segment(0))
    file = tmp_path / "r" / "segments.jsonl"
    fields = msgspec.json.decode(file.read_bytes())
    del fields["engine_cpu_s"]
    file.write_bytes(msgspec.json.encode({**fields, "moon_phase": "full"}) + b"\n")
    assert Recording.open(tmp_path / "r").segments == (segment(0),)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """With the version that is needed."""
    with new_writer(tmp_path / "r"):
        pass
    file = tmp_path / "r" / "recording.json"
    fields = msgspec.json.decode(file.read_bytes())
    file.write_bytes(msgspec.json.encode({**fields, "schema_version": 99}))
    with pytest.raises(RecordingError, match="schema version 99; this Loadpath reads up to 1"):
        Recording.open(tmp_path / "r")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("recording.json", b"{", "is damaged"),
        ("recording.json", b"\xff\xfe", "is damaged"),
        ("recording.json", b'{"schema_version": 1}', "damaged.*name"),
    ],
)
def test_a_damaged_header_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """Never a bare traceback."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match=message):
        Recording.open(tmp_path)


def test_a_folder_without_a_recording(tmp_path: Path) -> None:
    """Says so, and is a mistake of usage."""
    with pytest.raises(RecordingError, match="holds no recording") as raised:
        Recording.open(tmp_path / "nothing")
    assert raised.value.exit_code == ExitCode.USAGE


def test_a_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    """A recording is immutable: nothing is written into it twice."""
    with new_writer(tmp_path / "r"):
        pass
    with pytest.raises(RecordingError, match="is not empty"):
        new_writer(tmp_path / "r")


def test_a_full_disk_keeps_earlier_lines_whole(tmp_path: Path) -> None:
    """The line that found no room leaves nothing behind, and the next one that fits is readable."""
    script = """
import resource, sys
from pathlib import Path
from loadpath.errors import RecordingError
from test_writer_reader import new_writer, segment
writer = new_writer(Path(sys.argv[1]))
writer.append_segment(segment(0))
size = (Path(sys.argv[1]) / "segments.jsonl").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (2 * size, resource.RLIM_INFINITY))
try:
    writer.append_segment(segment(1, label="x" * 500))
except RecordingError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.append_segment(segment(2))
"""
    search_path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "r")],
        env={**os.environ, "PYTHONPATH": search_path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "segments.jsonl could not be written" in done.stdout
    assert [each.index for each in Recording.open(tmp_path / "r").segments] == [0, 2]
