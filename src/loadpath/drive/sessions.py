"""Who asks: identities, the headers that their login gave them, and their cookies."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from loadpath.drive.cookies import CookieJar, is_loopback
from loadpath.drive.operations import CompiledWorkload, identity_of
from loadpath.drive.requests import header_block
from loadpath.errors import ConfigurationError
from loadpath.flow import Flow, Identity

RENEW_AFTER_S = 10.0
"""No identity logs in again sooner than this after it last did: a service that answers 401 to
everything must not get its load doubled by logins."""

SECRET_CHARACTERS_MIN = 4
"""Shorter values say nothing, and hiding them would hide the words around."""


class Session:
    """What one identity (or one flow, where there are no identities) adds to its requests.

    `logins` counts how often it logged in, and tells an old header from a new one.
    """

    __slots__ = ("_headers", "_lines", "identity", "jar", "logged_in_s", "logins")

    def __init__(self, identity: Identity | None, jar: CookieJar | None) -> None:
        self.identity = identity
        self.jar = jar
        self.logins = 0
        self.logged_in_s = -math.inf
        self._headers: tuple[tuple[str, str], ...] = ()
        self._lines = b""

    def logged_in(self, returned: object, now: float) -> None:
        """Take what a login returned: headers, or None. Raises `ValueError` for anything else."""
        given = {} if returned is None else returned
        if not isinstance(given, Mapping) or not all(
            isinstance(text, str) for pair in given.items() for text in pair
        ):
            raise ValueError(
                "a login returns None or headers such as {'Authorization': …}, "
                f"this one a {type(returned).__name__}"
            )
        headers = tuple(given.items())
        self._lines = _lines(headers)
        self._headers = headers
        self.logged_in_s = now
        self.logins += 1

    def lines(self, given: frozenset[str]) -> bytes:
        """Its header lines, less those that the request has itself (`given`, in lower case)."""
        if given.isdisjoint(name.lower() for name, _ in self._headers):
            return self._lines
        return _lines([each for each in self._headers if each[0].lower() not in given])

    def secrets(self) -> list[str]:
        """What must not be shown: header values, kept texts, cookies."""
        texts = [value for _, value in self._headers]
        if self.identity is not None:
            texts += [value for value in vars(self.identity).values() if isinstance(value, str)]
        if self.jar is not None:
            texts += self.jar.values()
        words = [word for text in texts for word in (text, text.rpartition(" ")[2])]
        return [word for word in words if len(word) >= SECRET_CHARACTERS_MIN]


class Sessions:
    """Every identity's session; and one for each flow where cookies are kept without identities."""

    def __init__(self, workload: CompiledWorkload, host: str, *, secure: bool) -> None:
        self.login: Callable[..., Flow] | None = workload.login
        self._cookies = workload.cookies
        self._host = host
        self._secure = secure or is_loopback(host)
        count = 0 if workload.identities is None else workload.identities.count
        self._by_number: list[Session | None] = [None] * count

    @property
    def wanted(self) -> bool:
        """Whether any request belongs to a session."""
        return bool(self._by_number) or self._cookies

    def __len__(self) -> int:
        """How many identities there are."""
        return len(self._by_number)

    def of_number(self, number: int) -> Session:
        """The session of an identity."""
        session = self._by_number[number]
        if session is None:
            session = self._by_number[number] = Session(Identity(number), self._jar())
        return session

    def of_code(self, code: int) -> Session:
        """The session of the identity that a key code names, or a new one when it names none."""
        who = identity_of(code)
        return Session(None, self._jar()) if who is None else self.of_number(who)

    def _jar(self) -> CookieJar | None:
        return CookieJar(self._host, secure=self._secure) if self._cookies else None


def _lines(headers: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> bytes:
    for name, _ in headers:
        if name.lower() in {"host", "user-agent"}:
            raise ValueError(f"a login cannot give the header {name}: the engine writes it")
    try:
        # `Host` and `User-Agent` are in every request already.
        block = header_block("", [("Host", ""), ("User-Agent", ""), *headers])
    except ConfigurationError as error:
        raise ValueError(error.message) from None
    return block.split(b"\r\n", 2)[2]
