"""Logging every identity in before there is any load: some at a time, on connections of their own.

Not within a segment: a login (with a slow password digest, say) is not part of the mix, and what it
costs must stand neither among the requests of a segment nor in the CPU that is metered in one.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock, Thread
from time import monotonic

from loadpath.drive.failures import describe_raised, describe_reply
from loadpath.drive.flows import Flows, Outcome
from loadpath.drive.sequential import NoReplyError, SequentialClient, SequentialReply
from loadpath.drive.sessions import Session, Sessions
from loadpath.drive.state import FlowRun
from loadpath.errors import WouldNotRunError
from loadpath.recording.redact import redact_text

AT_ONCE = 8
"""Logins under way at a time: enough to use a few workers, too few to overwhelm them."""

TIMEOUT_S = 30.0
TOLD_EVERY_S = 0.25

ToldLogins = Callable[[int, int], None]
"""Called with how many identities are logged in, and of how many."""


class Logins:
    """Logs identities in. Only one thread runs a flow at a time; the others wait for replies."""

    def __init__(self, flows: Flows, sessions: Sessions, connect: Callable[[], SequentialClient]):
        self._flows = flows
        self._sessions = sessions
        self._connect = connect
        self._turn = Lock()
        self._left = iter(range(len(sessions)))
        self._done = 0
        self._failed: BaseException | None = None
        self._over = Event()

    def run(self, told: ToldLogins) -> None:
        """Log all of them in, and tell how it goes about every 250 ms.

        Raises `WouldNotRunError` with the first identity that could not log in and why.
        """
        total = len(self._sessions)
        threads = [Thread(target=self._work, daemon=True) for _ in range(min(AT_ONCE, total))]
        for thread in threads:
            thread.start()
        try:
            while not self._over.wait(TOLD_EVERY_S) and any(t.is_alive() for t in threads):
                told(self._done, total)
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
        if self._failed is not None:
            raise self._failed
        told(self._done, total)

    def _work(self) -> None:
        client = self._connect()
        try:
            while not self._over.is_set():
                with self._turn:
                    number = next(self._left, None)
                if number is None:
                    return
                self._log_in(client, self._sessions.of_number(number))
                with self._turn:
                    self._done += 1
        except Exception as error:  # noqa: BLE001  raised again by `run`
            self._failed = self._failed or error
            self._over.set()
        finally:
            client.close()

    def _log_in(self, client: SequentialClient, session: Session) -> None:
        run = FlowRun((0, 0, monotonic(), 0, None), 0)
        last: SequentialReply | None = None
        with self._turn:
            outcome = self._flows.start_login(run, session)
        while outcome is Outcome.REQUEST:
            try:
                last = client.exchange(run.payload, method=run.method, timeout_s=TIMEOUT_S)
            except NoReplyError as none:
                run.close()
                raise _failed(session, str(none)) from None
            status = last.reply.status
            if status >= 400 and status not in run.expect:
                run.close()
                raise _failed(session, describe_reply(status, last.start))
            with self._turn:
                outcome = self._flows.advance(run, last.reply)
        why = run.error
        if why is None:
            try:
                session.logged_in(run.returned, monotonic())
            except ValueError as error:
                why = error
        if why is not None:
            seen = "" if last is None else f"; {describe_reply(last.reply.status, last.start)}"
            raise _failed(session, f"{describe_raised(why)}{seen}")


def _failed(session: Session, why: str) -> WouldNotRunError:
    assert session.identity is not None
    said = redact_text(why, limit=400, secrets=session.secrets())
    return WouldNotRunError(
        f"identity {session.identity.number} could not log in: {said}",
        advice="See that what seeds the data makes as many users as `workload.identities` says, "
        "and that @login sends what the service expects.",
    )
