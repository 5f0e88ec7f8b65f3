"""What a flow carries from request to request besides its own steps: a session, redirects left."""

from __future__ import annotations

from time import time
from typing import TypeAlias

from loadpath.drive.redirects import method_of, redirected, target_of, too_many
from loadpath.drive.sessions import Session
from loadpath.flow import Flow, Reply

Interrupted: TypeAlias = tuple[Flow | None, bytes, frozenset[str], tuple[int, ...], int]
"""A step that waits for a login: its flow, request, header names, expected statuses, redirects."""

NO_NAMES: frozenset[str] = frozenset()


class Carried:
    """Of one run. `plain` is the request without what the session adds.

    `names` are the headers that the request has of its own, in lower case. `follow` redirects in a
    row may be followed, `hops` were. `interrupted` is the step that waits while the run logs in
    again; `renew` says that it is to do so, `repeated` that it did.
    """

    __slots__ = (
        "follow",
        "hops",
        "interrupted",
        "logging_in",
        "logins",
        "names",
        "plain",
        "renew",
        "repeated",
        "session",
    )

    def __init__(self, session: Session | None) -> None:
        self.session = session
        self.plain = b""
        self.names = NO_NAMES
        self.follow = 0
        self.hops = 0
        self.logins = 0
        self.logging_in = False
        self.interrupted: Interrupted | None = None
        self.renew = False
        self.repeated = False

    def take(self, plain: bytes, names: frozenset[str], follow: int) -> bytes:
        """The next request of the run, as it is to be sent."""
        self.plain = plain
        self.names = names
        self.follow = follow
        self.hops = 0
        self.repeated = False
        return self.dressed()

    def dressed(self) -> bytes:
        """The request with the session's headers and cookies."""
        session = self.session
        if session is None:
            return self.plain
        self.logins = session.logins
        extra = b"" if self.logging_in else session.lines(self.names)
        if session.jar is not None and "cookie" not in self.names:
            extra += session.jar.line(target_of(self.plain), time())
        if not extra:
            return self.plain
        at = self.plain.index(b"\r\n") + 2
        return self.plain[:at] + extra + self.plain[at:]

    @property
    def method(self) -> str:
        """The method of the request."""
        return method_of(self.plain)

    def keep_cookies(self, reply: Reply) -> None:
        """Keep what the reply sets."""
        if self.session is not None and self.session.jar is not None:
            self.session.jar.take(reply.head, target_of(self.plain), time())

    def next_hop(self, reply: Reply, authority: str) -> tuple[str, bytes] | None:
        """Method and bytes of the request that a redirect asks for; None: it is none to follow.

        Raises `RedirectError` when it leaves the service or there were too many.
        """
        location = reply.header("location") if self.follow else None
        if location is None:
            return None
        if self.hops == self.follow:
            raise too_many(location, self.follow)
        self.plain = redirected(self.plain, reply.status, location, authority)
        self.hops += 1
        return self.method, self.dressed()
