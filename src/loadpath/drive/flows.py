"""Running flows: from an arrival to its first request, from a reply to the next one.

A flow is a generator of the workload file, or the one request of a declared operation that cannot
be made ahead: because it is in a session, follows redirects or holds the time.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from time import monotonic

from loadpath.drive.carried import Carried
from loadpath.drive.channels import Channel, Line
from loadpath.drive.mix import Job
from loadpath.drive.operations import CompiledOperation
from loadpath.drive.redirects import REDIRECTS, RedirectError
from loadpath.drive.requests import RequestWriter
from loadpath.drive.sessions import RENEW_AFTER_S, Session, Sessions
from loadpath.drive.state import FlowRun, FlowState
from loadpath.flow import (
    Acknowledged,
    Attempt,
    Connect,
    Flow,
    Identity,
    Message,
    Reply,
    Request,
    SocketStep,
)

STEPS_MAX = 255
"""A flow has at most so many requests."""

UNAUTHORIZED = 401


class Outcome(IntEnum):
    """What came of advancing a flow: a request to send, a step on its WebSockets, or its end."""

    REQUEST = 0
    ENDED = 1
    RAISED = 2
    SOCKET = 3


class Flows:
    """Advances the flows of a run; it sends nothing, `run.payload` is what is to be sent.

    `authority` is the service's own address, as `http://127.0.0.1:8000`.
    """

    def __init__(
        self,
        operations: tuple[CompiledOperation, ...],
        state: FlowState,
        writer: RequestWriter,
        sessions: Sessions,
        authority: str,
    ) -> None:
        self._operations = operations
        self._functions = [each.flow for each in operations]
        self._state = state
        self._rng = state.rng
        self._writer = writer
        # Its own: the key that each handshake has would crowd out what the other one keeps.
        self._handshakes = RequestWriter(authority.partition("://")[2])
        self._sessions = sessions
        self._in_sessions = sessions.wanted
        self._authority = authority

    def start(self, job: Job) -> tuple[FlowRun, Outcome]:
        """A new run for an arrival, advanced to its first request."""
        run = self._state.new_run(job)
        if self._in_sessions:
            run.carried = Carried(self._sessions.of_code(job[3]))
        function = self._functions[job[1]]
        if function is None:
            return run, self._start_declared(run)
        kind = self._operations[job[1]].reads_back
        if kind is not None:
            item = run.reading = self._state.to_read_back(kind)
            return run, Outcome.ENDED if item is None else self.start_check(run, function, item)
        return run, self._begin(run, function, self._state)

    def start_check(self, run: FlowRun, check: Callable[..., Flow], item: Acknowledged) -> Outcome:
        """Advance the check of an acknowledged item to its first request.

        It is made as the identity that was told of it.
        """
        self._be(run, item)
        return self._begin(run, check, item)

    def start_count(self, run: FlowRun, count: Callable[..., Flow], attempt: Attempt) -> Outcome:
        """Advance what counts the effects of an attempt to its first request, in the same way."""
        self._be(run, attempt.acknowledged)
        return self._begin(run, count, attempt)

    def _be(self, run: FlowRun, item: Acknowledged | None) -> None:
        if self._in_sessions:
            who = None if item is None else item._identity
            code = None if who is None else self._sessions.of_number(who.number)
            run.carried = Carried(code or self._sessions.of_code(0))

    def start_login(self, run: FlowRun, session: Session) -> Outcome:
        """Advance the login of an identity to its first request; its result is `run.returned`."""
        run.carried = Carried(session)
        run.carried.logging_in = True
        login = self._sessions.login
        assert login is not None and session.identity is not None
        return self._begin(run, login, session.identity)

    def advance(self, run: FlowRun, reply: Reply | Message | float | None) -> Outcome:
        """Give a run its reply, or what its step on a WebSocket came to.

        With REQUEST, it has a next step to send; with SOCKET, one on `run.line`.
        """
        carried = run.carried
        if carried is not None and isinstance(reply, Reply):
            outcome = self._carry_on(run, carried, reply)
            if outcome is not None:
                return outcome
        generator = run.generator
        if generator is None:
            return Outcome.ENDED
        self._state.run = self._rng.stream = run
        try:
            outcome = self._take(run, generator.send(reply))
        except StopIteration as end:
            if carried is not None and carried.interrupted is not None:
                return self._logged_in(run, carried, end.value)
            run.returned = end.value
            return Outcome.ENDED
        except (Exception, SystemExit) as error:  # noqa: BLE001  a user's code raises anything
            return self._raised(run, error)
        run.step += 1
        return outcome

    def renews(self, run: FlowRun, reply: Reply) -> bool:
        """Whether this reply says that the identity is to log in again and the request is to be
        repeated; `advance` will do so. Then the reply is no error, what follows it may be one."""
        carried = run.carried
        if reply.status != UNAUTHORIZED or carried is None or self._sessions.login is None:
            return False
        session = carried.session
        if session is None or session.identity is None or carried.logging_in or carried.repeated:
            return False
        now = monotonic()
        if session.logins == carried.logins:
            if now - session.logged_in_s < RENEW_AFTER_S:
                return False
            session.logged_in_s = now  # so that no other request of the identity begins one, too
        carried.renew = True
        return True

    # What a session and redirects do between two steps

    def _start_declared(self, run: FlowRun) -> Outcome:
        template = self._operations[run.job[1]].template
        made = run.job[4]
        assert template is not None and isinstance(made, tuple)
        payload = template.build(made)
        follow = self._operations[run.job[1]].follow
        if follow and run.carried is None:
            run.carried = Carried(None)
        carried = run.carried
        run.payload = payload if carried is None else carried.take(payload, template.names, follow)
        run.method = template.method
        return Outcome.REQUEST

    def _carry_on(self, run: FlowRun, carried: Carried, reply: Reply) -> Outcome | None:
        """The next request, when it is not the flow that says which; None: ask the flow."""
        carried.keep_cookies(reply)
        if carried.renew:
            carried.renew = False
            return self._renew(run, carried)
        if reply.status in REDIRECTS:
            try:
                hop = carried.next_hop(reply, self._authority)
            except RedirectError as error:
                run.close()
                return self._raised(run, error)
            if hop is not None:
                run.method, run.payload = hop
                return self._next_step(run)
        return None

    def _renew(self, run: FlowRun, carried: Carried) -> Outcome:
        """Log in again, then repeat; or only repeat, when another request has logged in since."""
        session = carried.session
        assert session is not None
        if session.logins != carried.logins:
            return self._repeat(run, carried)
        login = self._sessions.login
        assert login is not None and session.identity is not None
        carried.interrupted = (
            run.generator,
            carried.plain,
            carried.names,
            run.expect,
            carried.follow,
        )
        carried.logging_in = True
        outcome = self._begin(run, login, session.identity)
        if outcome is Outcome.REQUEST:
            return self._next_step(run)
        if outcome is Outcome.ENDED:
            return self._logged_in(run, carried, run.returned)
        return outcome

    def _logged_in(self, run: FlowRun, carried: Carried, returned: object) -> Outcome:
        """A login within a flow is over: back to the step that it interrupted."""
        session, interrupted = carried.session, carried.interrupted
        assert session is not None and interrupted is not None
        generator, plain, names, expect, follow = interrupted
        carried.interrupted = None
        carried.logging_in = False
        run.generator, run.expect, run.returned = generator, expect, None
        carried.plain, carried.names, carried.follow = plain, names, follow
        try:
            session.logged_in(returned, monotonic())
        except ValueError as error:
            run.close()
            return self._raised(run, error)
        return self._repeat(run, carried)

    def _repeat(self, run: FlowRun, carried: Carried) -> Outcome:
        carried.repeated = True
        run.payload = carried.dressed()
        run.method = carried.method
        return self._next_step(run)

    def _next_step(self, run: FlowRun) -> Outcome:
        if run.step + 1 >= STEPS_MAX:
            run.close()
            return self._raised(run, _too_long())
        run.step += 1
        return Outcome.REQUEST

    # The generator

    def _begin(
        self,
        run: FlowRun,
        function: Callable[..., Flow],
        argument: FlowState | Acknowledged | Attempt | Identity,
    ) -> Outcome:
        self._state.run = self._rng.stream = run
        try:
            generator = run.generator = function(argument)
            return self._take(run, next(generator))
        except StopIteration as end:
            run.returned = end.value
            return Outcome.ENDED
        except (Exception, SystemExit) as error:  # noqa: BLE001  a user's code raises anything
            return self._raised(run, error)

    def _take(self, run: FlowRun, yielded: object) -> Outcome:
        """Make what was yielded the request to send; raises what is wrong with it."""
        if run.step + 1 >= STEPS_MAX:
            run.close()
            raise _too_long()
        if not isinstance(yielded, Request):
            return self._take_other(run, yielded)
        run.payload = self._writer.encode(yielded)
        run.method = yielded.method
        run.expect = yielded.expect
        run.retries, run.tries = yielded.retries, 0
        carried = run.carried
        if run.line is not None and (carried is None or not carried.logging_in):
            run.line.forget_opening()
        if carried is None:
            if not yielded.follow:
                return Outcome.REQUEST
            carried = run.carried = Carried(None)
        names = frozenset([name.lower() for name, _ in yielded.headers])
        run.payload = carried.take(run.payload, names, yielded.follow)
        return Outcome.REQUEST

    def _take_other(self, run: FlowRun, yielded: object) -> Outcome:
        """The same for what is about WebSockets."""
        carried = run.carried
        try:
            if carried is not None and carried.logging_in:
                raise TypeError("a login makes requests only, and opens no WebSocket")
            if not isinstance(yielded, Connect | SocketStep):
                raise TypeError(f"a flow yields requests, such as get(…); this one {yielded!r:.80}")
            if run.line is None:
                run.line = Line()
            if isinstance(yielded, SocketStep):
                run.line.of(yielded)
                run.line.step = yielded
                return Outcome.SOCKET
            channel = Channel(yielded)
            asked = channel.request(yielded)
            payload = self._handshakes.encode(asked)
        except BaseException:
            run.close()
            raise
        run.line.forget_opening()
        run.line.opening = channel
        run.method, run.expect = asked.method, asked.expect
        names = frozenset([name.lower() for name, _ in asked.headers])
        run.payload = payload if carried is None else carried.take(payload, names, 0)
        return Outcome.REQUEST

    def _raised(self, run: FlowRun, error: BaseException) -> Outcome:
        carried = run.carried
        if carried is not None and carried.interrupted is not None:  # by a login that failed
            run.generator = carried.interrupted[0]
            run.close()
        run.error = error
        return Outcome.RAISED


def _too_long() -> RuntimeError:
    return RuntimeError(f"a flow of more than {STEPS_MAX} requests")
