"""The columns of every table in a recording: the one place that says what they mean.

`docs/reference/recording.md` says the same to people; a test compares the two.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, TypeAlias

import msgspec

SCHEMA_VERSION = 1
"""Raised when a reader of an older version would misread what is written now."""

ColumnType: TypeAlias = Literal["u1", "u2", "u4", "u8", "f8", "bool", "text"]
"""Unsigned integers by bytes, 64-bit floats, booleans, and dictionary-encoded text."""


class Blocked(IntEnum):
    """Why a request was sent later than intended (column `blocked`)."""

    NOT = 0
    POOL = 1
    ENGINE = 2


class RequestError(IntEnum):
    """How a request failed (column `error`)."""

    NONE = 0
    STATUS = 1
    TIMEOUT = 2
    CONNECT = 3
    RESET = 4
    PROTOCOL = 5
    UNFINISHED = 6
    FLOW = 7
    TLS = 8
    REDIRECT = 9
    CLOSED = 10
    RETRIED = 11


class Column(msgspec.Struct, frozen=True):
    """One column: its name, type, unit (empty when it has none) and meaning.

    `optional`: files written before there was such a column are read as if it were all zero.
    """

    name: str
    type: ColumnType
    unit: str
    description: str
    optional: bool = False


class TableSchema(msgspec.Struct, frozen=True):
    """One kind of table; its files are `<name>/NNNN.parquet`, NNNN being the segment's index."""

    name: str
    description: str
    columns: tuple[Column, ...]

    def column_names(self) -> tuple[str, ...]:
        """The names, in the order written."""
        return tuple(column.name for column in self.columns)


_AT = Column("at_s", "f8", "s", "When the sample was taken, on the monotonic clock.")

REQUESTS = TableSchema(
    "requests",
    "One row per request that was due, in the order the engine finished with them.",
    (
        Column("segment", "u2", "", "Index of the segment it belongs to."),
        Column("operation", "u2", "", "Index into `operations` of recording.json."),
        Column("flow", "u4", "", "Number of the flow instance within the segment."),
        Column(
            "step", "u1", "", "Which request (or step on a WebSocket) of the flow this is, from 0."
        ),
        Column("last", "bool", "", "Whether the flow ended with this request."),
        Column(
            "intended_s",
            "f8",
            "s",
            "When it should have been sent: the arrival for step 0, else `done_s` of the step "
            "before; of a WebSocket message awaited with `since`, what that said.",
        ),
        Column("sent_s", "f8", "s", "When its first byte was handed to the kernel; nan: never."),
        Column("first_byte_s", "f8", "s", "When the reply's first byte was read; nan: never."),
        Column("done_s", "f8", "s", "When the reply's last byte was read; nan: never."),
        Column("status", "u2", "", "HTTP status; 0: no reply; 101: of a WebSocket."),
        Column("key", "u8", "", "Salted digest of the key it asked for; 0: none."),
        Column(
            "identity",
            "u8",
            "",
            "Salted digest of the identity that asked; 0: none, as in older files without it.",
            optional=True,
        ),
        Column("bytes", "u4", "B", "Size of the reply, head and body; of messages, their content."),
        Column("connection", "u4", "", "Which of the engine's connections carried it."),
        Column(
            "blocked",
            "u1",
            "",
            "Why it was sent late: 0 not late, 1 waited for a free connection, "
            "2 the engine was late.",
        ),
        Column(
            "error",
            "u1",
            "",
            "0 none, 1 status, 2 timeout, 3 connect refused or failed, 4 reset or early close, "
            "5 protocol, 6 unfinished when the segment ended, 7 the flow raised, "
            "8 the TLS handshake failed, 9 a redirect that may not be followed, "
            "10 the WebSocket was closed, 11 it failed and was sent again: the next step is that.",
        ),
        Column(
            "messages",
            "u4",
            "",
            "WebSocket messages that the step took; 0 for requests, as in older files without it.",
            optional=True,
        ),
    ),
)

THREADS = TableSchema(
    "threads",
    "One row per live thread and sample: how the CPU of a process divides among its threads.",
    (
        _AT,
        Column("pid", "u4", "", "Process the thread belongs to."),
        Column("tid", "u4", "", "Thread id."),
        Column("part", "text", "", "Part of the deployment: `service`, a dependency, `engine` …"),
        Column("name", "text", "", "The thread's name (comm)."),
        Column("cpu_s", "f8", "s", "CPU time of this thread so far (schedstat)."),
        Column("wait_s", "f8", "s", "Time it stood runnable in a run queue so far (schedstat)."),
    ),
)

PROCESSES = TableSchema(
    "processes",
    "One row per process and sample: totals that keep ended threads and reaped children.",
    (
        _AT,
        Column("pid", "u4", "", "Process id."),
        Column("parent", "u4", "", "Process id of its parent at that time."),
        Column("started_s", "f8", "s", "When it was started, on the monotonic clock, to 10 ms."),
        Column("part", "text", "", "Part of the deployment the process belongs to."),
        Column("name", "text", "", "Name of the process, or the kind of PostgreSQL process."),
        Column("cpu_s", "f8", "s", "CPU time so far, ended threads included."),
        Column(
            "children_cpu_s", "f8", "s", "CPU time so far of children that ended and were reaped."
        ),
        Column("rss_bytes", "u8", "B", "Resident memory."),
        Column("threads", "u4", "", "Live threads."),
    ),
)

HOST = TableSchema(
    "host",
    "One row per sample: where the CPU time of the whole machine went, summed over its cores.",
    (
        _AT,
        Column("busy_s", "f8", "s", "CPU time spent running anything so far."),
        Column("idle_s", "f8", "s", "CPU time spent idle so far, waiting for disks excluded."),
        Column("iowait_s", "f8", "s", "CPU time idle with disk requests outstanding so far."),
        Column("steal_s", "f8", "s", "CPU time the hypervisor gave to other machines so far."),
        Column("others_s", "f8", "s", "CPU time of processes that are not part of the run so far."),
        Column(
            "kernel_s",
            "f8",
            "s",
            "CPU time so far of the kernel's own threads, whoever they work for; "
            "nan: not visible, then it is among the others.",
        ),
        Column(
            "pressure_s",
            "f8",
            "s",
            "Time so far in which anything stood waiting for a CPU (PSI); nan: not known.",
        ),
        Column("cores", "u4", "", "Cores the machine has."),
    ),
)

POSTGRES = TableSchema(
    "postgres",
    "Per sample, how many of PostgreSQL's client backends did what; empty groups have no row.",
    (
        _AT,
        Column("part", "text", "", "The dependency."),
        Column("state", "text", "", "State in pg_stat_activity: `active`, `idle` …"),
        Column("wait_event_type", "text", "", "What kind of thing they waited for; empty: none."),
        Column("wait_event", "text", "", "What they waited for; empty: nothing."),
        Column("backends", "u4", "", "How many, Loadpath's own connection left out."),
    ),
)

EXCHANGES = TableSchema(
    "exchanges",
    "One row per exchange that ended while it was recorded: a request and what came back for it.",
    (
        Column("segment", "u2", "", "Index of the segment it belongs to."),
        Column("tap", "text", "", "The dependency; `service` for the tap before the service."),
        Column("connection", "u4", "", "Number of the connection that carried it."),
        Column("verb", "text", "", "What was asked: `execute`, `GET`, `PUB` …"),
        Column("shape", "u4", "", "What it was asked of, in the table `shapes`."),
        Column(
            "parameters",
            "u8",
            "",
            "Salted digest of its text and parameters: equal for equal ones within one run.",
        ),
        Column("began_s", "f8", "s", "When the first byte of the request was read."),
        Column("first_byte_s", "f8", "s", "When the first byte of the reply was read."),
        Column("ended_s", "f8", "s", "When the last byte of the reply was read."),
        Column("request_bytes", "u8", "B", "Size of the request, with its framing."),
        Column("reply_bytes", "u8", "B", "Size of the reply, with its framing."),
        Column("rows", "f8", "", "Rows that it returned or changed; nan: the protocol has none."),
        Column("status", "u2", "", "Status of an HTTP reply; 0: another protocol, or no reply."),
        Column("error", "text", "", "The protocol's own code of the error; empty: success."),
        Column(
            "transaction",
            "text",
            "",
            "State of the connection after it: `none`, `open` or `failed`.",
        ),
        Column("pushed", "bool", "", "Whether it is a message that answers no request."),
        Column(
            "ended",
            "bool",
            "",
            "Whether the reply was whole before the connection closed or was no longer read.",
        ),
        Column(
            "digest",
            "u8",
            "",
            "Salted digest of the rows or the reply, to compare with others of the same "
            "`parameters`; 0: it was not asked for.",
            optional=True,
        ),
    ),
)

CONNECTIONS = TableSchema(
    "connections",
    "One row per connection through a tap that was open at some time of the segment.",
    (
        Column("segment", "u2", "", "Index of the segment."),
        Column("tap", "text", "", "The dependency; `service` for the tap before the service."),
        Column("connection", "u4", "", "Number of the connection, as in `exchanges`."),
        Column("opened_s", "f8", "s", "When the client's connection was accepted."),
        Column("connected_s", "f8", "s", "When the dependency accepted it; nan: never."),
        Column("closed_s", "f8", "s", "When it was over; nan: open when the segment ended."),
        Column(
            "left_s",
            "f8",
            "s",
            "When the client ended it, which a dependency that does not run does not answer; nan: "
            "it did not, or not in order.",
            optional=True,
        ),
        Column(
            "ending",
            "text",
            "",
            "Who ended it: `client closed`, `client reset`, `server closed`, `server reset`, "
            "`not connected`, `fault`, `loadpath`; empty: open.",
        ),
        Column("sent_bytes", "u8", "B", "Bytes from the client since it was opened."),
        Column("received_bytes", "u8", "B", "Bytes from the dependency since it was opened."),
        Column("exchanges", "u8", "", "Exchanges that ended on it since it was opened."),
        Column("unfinished", "u8", "", "Exchanges under way when it closed."),
        Column("unread", "text", "", "Why it was not read, or not to its end; empty: it was."),
    ),
)

SHAPES = TableSchema(
    "shapes",
    "What the exchanges of a segment were about, without any values.",
    (
        Column("segment", "u2", "", "Index of the segment."),
        Column(
            "shape",
            "u4",
            "",
            "Its number, the same in all segments of a recording; 0: there were too many. Several "
            "may have one text.",
        ),
        Column("tap", "text", "", "The dependency; empty for shape 0."),
        Column("text", "text", "", "Shape of the statement, key, subject or path."),
    ),
)


class WriteOutcome(IntEnum):
    """What the client was told of a write (column `outcome`)."""

    INFO = 0
    OK = 1
    FAIL = 2


EFFECTS_UNKNOWN = (1 << 32) - 1
"""In column `effects`: it could not be told."""

_KIND = Column("kind", "text", "", "What was to be made, as the flow calls it.")
_TOKEN = Column("token", "u8", "", "Salted digest of the logical request's token.")

WRITES = TableSchema(
    "writes",
    "One row per attempt of a write that a flow announced or acknowledged; retries have its token.",
    (
        Column("segment", "u2", "", "Index of the segment it belongs to."),
        _KIND,
        _TOKEN,
        Column("key", "u8", "", "Salted digest of what orders it; 0: nothing does."),
        Column("started_s", "f8", "s", "When it was tried."),
        Column("ended_s", "f8", "s", "When its answer was in; nan: none ever came."),
        Column(
            "outcome",
            "u1",
            "",
            "0 it may have happened, 1 it was acknowledged, 2 it was refused (4xx).",
        ),
    ),
)

READS = TableSchema(
    "reads",
    "One row per look, under load, at something that had been acknowledged.",
    (
        Column("segment", "u2", "", "Index of the segment it belongs to."),
        _KIND,
        _TOKEN,
        Column("started_s", "f8", "s", "When the look began."),
        Column("ended_s", "f8", "s", "When its reply was in."),
        Column("seen", "bool", "", "Whether it held."),
    ),
)

EFFECTS = TableSchema(
    "effects",
    "One row per logical request whose effect was looked for when all was quiet.",
    (
        _KIND,
        _TOKEN,
        Column("checked_s", "f8", "s", "When the look was over."),
        Column("effects", "u4", "", "How often it was there; 4294967295: it could not be told."),
    ),
)

_DIGEST = Column(
    "digest",
    "u8",
    "",
    "Salted digest of what a user sees of it: status, body, and the headers that say what the body "
    "is or where to go.",
)
_HEADERS = Column(
    "headers",
    "text",
    "",
    "Its headers that caches go by, a line each; of tags, dates and cookies only that they are "
    "there, of Expires how far it lies ahead.",
)

REPLIES = TableSchema(
    "replies",
    "One row per whole reply of a segment that was recorded for the question on caching.",
    (
        Column("segment", "u2", "", "Index of the segment it belongs to."),
        Column("operation", "u2", "", "Index into `operations` of recording.json."),
        Column("identity", "u8", "", "Salted digest of the identity that asked; 0: none."),
        Column("sent_s", "f8", "s", "When the request's first byte was handed to the kernel."),
        Column("done_s", "f8", "s", "When the reply's last byte was read."),
        Column("method", "text", "", "Method of the request."),
        Column("target", "u8", "", "Salted digest of method, path and query as they were sent."),
        Column(
            "key",
            "u8",
            "",
            "Salted digest of the key of a shared cache: the target, and the request's headers "
            "that the reply's Vary names.",
        ),
        _DIGEST,
        Column("status", "u2", "", "HTTP status."),
        Column("bytes", "u4", "B", "Size of the body, with its framing."),
        _HEADERS,
        Column(
            "credentials",
            "u8",
            "",
            "Salted digest of the request's headers that say who asks; 0: it had none.",
        ),
        Column("authorized", "bool", "", "Whether the request had an Authorization header."),
    ),
)

VARIANTS = TableSchema(
    "variants",
    "One row per request that was asked as it was (A), in another way (B), and as it was (A).",
    (
        Column("segment", "u2", "", "Index of the digested segment whose request it was."),
        Column("operation", "u2", "", "Index into `operations` of recording.json."),
        Column("target", "u8", "", "Salted digest of method, path and query as they were sent."),
        Column(
            "variant",
            "text",
            "",
            "What was other in B: `identity`, `anonymous`, `header NAME`, `without cookie`, "
            "`query NAME` without that parameter, `query order`.",
        ),
        Column("before", "u8", "", "Digest of the first reply, as in `replies`."),
        Column("other", "u8", "", "Digest of the reply to what was other."),
        Column("after", "u8", "", "Digest of the second reply to what was as it was."),
        Column("status", "u2", "", "Status of the first reply."),
        Column("other_status", "u2", "", "Status of the reply to what was other."),
        Column(
            "same_key",
            "bool",
            "",
            "Whether a shared cache would have answered B with what it had kept of A.",
        ),
        _HEADERS,
        Column("authorized", "bool", "", "Whether the request had an Authorization header."),
    ),
)

TABLES: dict[str, TableSchema] = {
    table.name: table
    for table in (
        REQUESTS,
        THREADS,
        PROCESSES,
        HOST,
        POSTGRES,
        EXCHANGES,
        CONNECTIONS,
        SHAPES,
        WRITES,
        READS,
        EFFECTS,
        REPLIES,
        VARIANTS,
    )
}
