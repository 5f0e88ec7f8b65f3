"""What went wrong first, per operation, in words fit to be stored and shown."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

from loadpath.drive.operations import CompiledOperation
from loadpath.recording.redact import redact_text
from loadpath.recording.schema import RequestError

_OURS = str(Path(__file__).resolve().parents[1])

SHOWN_CHARACTERS = 200

_WORDS = {
    RequestError.STATUS: "status",
    RequestError.TIMEOUT: "timeout",
    RequestError.CONNECT: "connect",
    RequestError.RESET: "reset",
    RequestError.PROTOCOL: "protocol",
    RequestError.UNFINISHED: "unfinished",
    RequestError.FLOW: "flow",
    RequestError.TLS: "tls",
    RequestError.REDIRECT: "redirect",
    RequestError.CLOSED: "closed",
}


class Failures:
    """The first failure of every operation, and how many requests failed in all.

    Unfinished requests count, but say nothing about why, so any other failure comes before them.
    """

    def __init__(self, operations: Sequence[CompiledOperation]) -> None:
        self._names = [each.name for each in operations]
        self._first: dict[int, str] = {}
        self._unfinished: dict[int, str] = {}
        self.count = 0
        self.unfinished = 0

    def add(self, operation: int, error: RequestError, detail: str) -> None:
        """A request of that operation failed; `detail` says how."""
        self.count += 1
        if error is RequestError.UNFINISHED:
            self.unfinished += 1
            self._unfinished.setdefault(operation, detail)
        elif operation not in self._first:
            self._first[operation] = describe(error, detail)

    def add_raised(
        self,
        operation: int,
        error: RequestError,
        raised: BaseException,
        secrets: Sequence[str] = (),
    ) -> None:
        """A flow of that operation raised. Its traceback is let go, for it holds the flow and the
        flow holds it, and nothing collects such rings while load runs."""
        self.count += 1
        if operation not in self._first:
            redirect = error is RequestError.REDIRECT
            detail = str(raised) if redirect else describe_raised(raised)
            self._first[operation] = describe(error, detail, secrets)
        raised.__traceback__ = None

    def add_status(
        self, operation: int, status: int, start: bytes, secrets: Sequence[str] = ()
    ) -> None:
        """A reply came whose status is an error; `start` is how it begins, head included."""
        self.count += 1
        if operation not in self._first:
            self._first[operation] = describe_reply(status, start, secrets)

    def first(self) -> dict[str, str]:
        """By the operation's name, its first failure."""
        unfinished = {
            i: describe(RequestError.UNFINISHED, detail) for i, detail in self._unfinished.items()
        }
        return {self._names[i]: words for i, words in sorted({**unfinished, **self._first}.items())}


def describe(error: RequestError, detail: str, secrets: Sequence[str] = ()) -> str:
    """One line: the kind of failure and its detail, redacted."""
    return redact_text(f"{_WORDS[error]}: {detail}", limit=SHOWN_CHARACTERS, secrets=secrets)


def describe_reply(status: int, start: bytes, secrets: Sequence[str] = ()) -> str:
    """One line for a reply: its status and the start of its body, redacted."""
    words = f"status {status}: {body_start(start)}".rstrip(": ")
    return redact_text(words, limit=SHOWN_CHARACTERS, secrets=secrets)


def body_start(start: bytes) -> str:
    """The beginning of a body, of a reply's beginning; the head of a reply that has no body."""
    head, _, body = start.partition(b"\r\n\r\n")
    line, _, rest = head.partition(b"\r\n")
    return (body or rest or line).decode("utf-8", "replace")


def redacted_start(start: bytes) -> str:
    """The start of a reply's body, fit to be shown."""
    return redact_text(body_start(start), limit=SHOWN_CHARACTERS)


def describe_raised(error: BaseException) -> str:
    """What a flow raised, and the line of the workload file (or of what it called) where."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_OURS)
    ]
    where = f" (line {frames[-1].lineno} of {frames[-1].name})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
