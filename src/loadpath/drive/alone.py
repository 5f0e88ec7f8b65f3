"""Operations and checks run alone: the probes of `loadpath check`, and `still_holds`."""

from __future__ import annotations

import random
from time import monotonic, sleep

import msgspec

from loadpath.drive.driver import Driver
from loadpath.drive.exchanges import UNSURE
from loadpath.drive.failures import describe, describe_raised, describe_reply, redacted_start
from loadpath.drive.flows import Flows, Outcome
from loadpath.drive.mix import Job, Made
from loadpath.drive.operations import CompiledOperation
from loadpath.drive.plan import ProbeReply
from loadpath.drive.redirects import RedirectError
from loadpath.drive.sequential import NoReplyError, SequentialClient, SequentialReply
from loadpath.drive.sequential_sockets import SocketsAlone
from loadpath.drive.state import FlowRun
from loadpath.flow import Acknowledged
from loadpath.recording.holds import HoldCount, HoldsRecord
from loadpath.recording.redact import redact_text
from loadpath.recording.schema import RequestError

PROBE_SEGMENT = 0xFFFE
CHECK_SEGMENT = 0xFFFF
CHECK_TIMEOUT_S = 10.0
_STEPS = (Outcome.REQUEST, Outcome.SOCKET)
UNKNOWN_IN_A_ROW_MAX = 20
"""A service that answers no check any more will not answer the next thousand."""


class Alone:
    """Runs one thing at a time for a driver whose loop is at rest."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._flows_run = 0
        self._probed: dict[int, int] = {}

    def probe(self, name: str, times: int, pause_s: float = 0.0) -> list[ProbeReply]:
        """Run an operation `times` times, one after the other, with a pause after each.

        The keys are other ones in each call.

        Raises `ConfigurationError` when no operation is called that.
        """
        workload = self._driver.workload
        (index,), _ = workload.weights({name: 1.0})
        operation = workload.operations[index]
        before = self._probed.get(index, 0)
        self._probed[index] = before + times
        self._driver.begin_segment(PROBE_SEGMENT)
        requests = self._driver.requests_of(index, before + times)[before:]
        client = SequentialClient(self._driver.address, self._driver.security)
        try:
            replies = []
            for code, made in requests:
                replies.append(self._probe(client, operation, code, made))
                sleep(pause_s)
            return replies
        finally:
            client.close()

    def _probe(
        self, client: SequentialClient, operation: CompiledOperation, code: int, made: Made
    ) -> ProbeReply:
        self._flows_run += 1
        started_s = monotonic()
        job: Job = (self._flows_run, operation.index, started_s, code, made)
        if not isinstance(made, bytes):
            last, error = self._run_flow(client, operation, job)
        else:
            assert operation.template is not None
            last, error = None, None
            try:
                last = client.exchange(
                    made, method=operation.template.method, timeout_s=operation.timeout_s
                )
                error = _status_error(last, operation.expect)
            except NoReplyError as none:
                error = str(none)
        return ProbeReply(
            status=0 if last is None else last.reply.status,
            started_s=started_s,
            response_time_s=monotonic() - started_s,
            error=error,
            start="" if last is None else redacted_start(last.start),
        )

    def _run_flow(
        self, client: SequentialClient, operation: CompiledOperation, job: Job
    ) -> tuple[SequentialReply | None, str | None]:
        """Run a flow to its end: its last reply, and its first error."""
        flows = self._driver.flows
        run, outcome = flows.start(job)
        last, first_error = None, None
        sockets = SocketsAlone(client)
        try:
            while outcome in _STEPS:
                if outcome is Outcome.SOCKET:
                    outcome = flows.advance(run, sockets.step(run, operation.timeout_s))
                    continue
                last = sockets.exchange(run, operation.timeout_s)
                if not flows.renews(run, last.reply):
                    error = _status_error(last, operation.expect.union(run.expect))
                    first_error = first_error or error
                    if error is not None and run.handshake is not None:
                        run.close()
                        break
                outcome = flows.advance(run, last.reply)
        except NoReplyError as none:
            run.close()
            return None, first_error or str(none)
        finally:
            sockets.close(run)
        if run.error is not None:
            first_error = first_error or _raised(run.error)
        elif last is None:
            first_error = "flow: it made no request"
        return last, first_error

    def check_holds(self, limit: int, budget_s: float) -> HoldsRecord:
        """Check up to `limit` acknowledged items of each kind that has a check, chosen at random.

        Ends after `budget_s`, or when the service answers none any more; what was not checked then
        is not in `checked`.
        """
        deadline = monotonic() + budget_s
        workload, state = self._driver.workload, self._driver.state
        chooser = random.Random(self._driver.plan.seed)
        self._driver.begin_segment(CHECK_SEGMENT)
        kinds: dict[str, HoldCount] = {}
        broken: dict[str, str] = {}
        unknown: dict[str, str] = {}
        unchecked = []
        client = SequentialClient(self._driver.address, self._driver.security)
        try:
            for kind, total, items in state.acknowledged():
                if kind not in workload.holds:
                    unchecked.append(kind)
                    continue
                chosen = chooser.sample(items, min(limit, len(items)))
                checked = self._check_kind(client, kind, chosen, deadline)
                kinds[kind] = msgspec.structs.replace(checked.count, acknowledged=total)
                broken.update(checked.broken)
                unknown.update(checked.unknown)
        finally:
            client.close()
        return HoldsRecord(
            kinds=kinds,
            first_broken=broken,
            first_unknown=unknown,
            unchecked_kinds=tuple(unchecked),
        )

    def _check_kind(
        self, client: SequentialClient, kind: str, items: list[Acknowledged], deadline: float
    ) -> _Checked:
        held = broken = unknown = unknown_in_a_row = 0
        first_broken: dict[str, str] = {}
        first_unknown: dict[str, str] = {}
        for item in items:
            if monotonic() > deadline or unknown_in_a_row >= UNKNOWN_IN_A_ROW_MAX:
                break
            verdict, words = self._check(client, kind, item, deadline)
            unknown_in_a_row = unknown_in_a_row + 1 if verdict is None else 0
            if verdict:
                held += 1
            elif verdict is None:
                unknown += 1
                first_unknown.setdefault(kind, words)
            else:
                broken += 1
                first_broken.setdefault(kind, words)
        count = HoldCount(
            acknowledged=len(items),
            checked=held + broken + unknown,
            held=held,
            broken=broken,
            unknown=unknown,
        )
        return _Checked(count, first_broken, first_unknown)

    def _check(
        self, client: SequentialClient, kind: str, item: Acknowledged, deadline: float
    ) -> tuple[bool | None, str]:
        """Whether an item still holds (None: it could not be told), and how that showed."""
        check = self._driver.workload.holds[kind]
        flows: Flows = self._driver.flows
        self._flows_run += 1
        run = FlowRun((self._flows_run, 0, monotonic(), 0, None), self._flows_run)
        outcome = flows.start_check(run, check, item)
        done = run_alone(flows, run, outcome, client, deadline)
        if done.why is not None:
            return None, redact_text(f"{item!r}: {done.why}", limit=400)
        last = done.last
        seen = "" if last is None else describe_reply(last.reply.status, last.start)
        held = None if run.unsure and not run.returned else bool(run.returned)
        return held, redact_text(f"{item!r}: {seen}", limit=400)


class RanAlone(msgspec.Struct, frozen=True):
    """The last reply that a flow got, and why it did not get to its end, if so."""

    last: SequentialReply | None
    why: str | None


def run_alone(
    flows: Flows, run: FlowRun, outcome: Outcome, client: SequentialClient, deadline: float
) -> RanAlone:
    """Run a check, which has been started with that outcome, to its end.

    A reply of 5xx makes it unsure: what a service says then tells nothing of what it has.
    """
    last: SequentialReply | None = None
    sockets = SocketsAlone(client)
    try:
        while outcome in _STEPS:
            timeout_s = max(0.001, min(CHECK_TIMEOUT_S, deadline - monotonic()))
            if outcome is Outcome.SOCKET:
                outcome = flows.advance(run, sockets.step(run, timeout_s))
            else:
                last = sockets.exchange(run, timeout_s)
                status = last.reply.status
                run.unsure = run.unsure or status in UNSURE or status >= 500
                outcome = flows.advance(run, last.reply)
    except NoReplyError as none:
        run.close()
        return RanAlone(last, str(none))
    finally:
        sockets.close(run)
    return RanAlone(last, None if run.error is None else describe_raised(run.error))


class _Checked(msgspec.Struct, frozen=True):
    """The outcome for one kind."""

    count: HoldCount
    broken: dict[str, str]
    unknown: dict[str, str]


def _raised(error: BaseException) -> str:
    if isinstance(error, RedirectError):
        return describe(RequestError.REDIRECT, str(error))
    return describe(RequestError.FLOW, describe_raised(error))


def _status_error(reply: SequentialReply, expect: frozenset[int]) -> str | None:
    status = reply.reply.status
    if status < 400 or status in expect:
        return None
    return describe_reply(status, reply.start)
