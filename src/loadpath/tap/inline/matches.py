"""Whether a unit is one that an order is about."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

from loadpath.tap.orders import DropReply, Fail, UnitOrder
from loadpath.wire.statements import statement_shape

_SETUP = frozenset(("AUTH", "HELLO", "SELECT", "COMMAND", "MULTI", "QUIT", "RESET"))
_SETUP_OF_TWO = ("CLIENT ", "COMMAND ")
WRITES = frozenset(
    (
        *("APPEND", "BITFIELD", "BITOP", "COPY", "DECR", "DECRBY", "GEOADD", "GETSET", "HINCRBY"),
        *("HINCRBYFLOAT", "HMSET", "HSET", "HSETNX", "INCR", "INCRBY", "INCRBYFLOAT", "LINSERT"),
        *("LMOVE", "LPUSH", "LPUSHX", "LSET", "MSET", "MSETNX", "PFADD", "PFMERGE", "PSETEX"),
        *("RESTORE", "RPOPLPUSH", "RPUSH", "RPUSHX", "SADD", "SDIFFSTORE", "SET", "SETBIT"),
        *("SETEX", "SETNX", "SETRANGE", "SINTERSTORE", "SORT", "SUNIONSTORE", "XADD", "ZADD"),
        *("ZINCRBY", "ZINTERSTORE", "ZRANGESTORE", "ZUNIONSTORE"),
    )
)
"""Commands that may take memory: a server without any to spare refuses these alone."""
DELETES = frozenset(
    (
        *("DEL", "UNLINK", "EXPIRE", "PEXPIRE", "EXPIREAT", "PERSIST", "GETDEL", "HDEL", "SREM"),
        *("ZREM", "LPOP", "RPOP", "LREM", "LTRIM", "SPOP", "FLUSHDB", "FLUSHALL", "RENAME", "XDEL"),
    )
)
"""Commands that write without taking memory."""


def matches(order: UnitOrder, kind: str, verb: str, text: str, *, answered: bool) -> bool:
    """Whether a unit of a protocol (`kind`) is one that the order is about.

    `verb` and `text` are those of `loadpath.wire.Exchange`.
    """
    if isinstance(order, DropReply) and not answered:
        return False
    if kind == "postgres":
        return _postgres(order, verb, text)
    if kind == "valkey":
        return _redis(order, verb, text)
    if kind == "nats":
        return subject_matches(order.match.removeprefix("PUB").strip(), text)
    return route_matches(order.match, verb, text)


def _postgres(order: UnitOrder, verb: str, text: str) -> bool:
    # A server with no connection to spare says so before it is asked anything, and only then.
    if verb == "startup" or (isinstance(order, Fail) and order.code == "53300"):
        return verb == "startup" and isinstance(order, Fail) and order.code == "53300"
    return statement_matches(order.match, text)


@lru_cache(maxsize=4096)
def statement_matches(pattern: str, text: str) -> bool:
    """Whether a statement begins as the pattern does, values and case apart: `INSERT INTO link`
    is not the beginning of `INSERT INTO link_visit`."""
    wanted = _words(pattern)
    return _words(text)[: len(wanted)] == wanted


def _words(text: str) -> list[str]:
    shape = statement_shape(text).text
    for sign in "(),;":
        shape = shape.replace(sign, f" {sign} ")
    return shape.split()


def _redis(order: UnitOrder, verb: str, key: str) -> bool:
    pattern, _, key_pattern = order.match.partition(" ")
    if not pattern or pattern == "*":
        if verb in _SETUP or verb.startswith(_SETUP_OF_TWO):
            return False
        if isinstance(order, Fail) and order.code == "OOM" and verb not in WRITES:
            return False
        if isinstance(order, Fail) and order.code == "READONLY" and verb not in WRITES | DELETES:
            return False
    elif verb != pattern.upper() and verb != order.match.upper():
        return False
    return not key_pattern or verb == order.match.upper() or fnmatchcase(key, key_pattern)


def subject_matches(pattern: str, subject: str) -> bool:
    """Whether a subject is one of a pattern's, with the wildcards of NATS; "" is all but its API's
    own."""
    if not pattern:
        return not subject.startswith(("$JS.ACK.", "$JS.API.", "_INBOX."))
    wanted, words = pattern.split("."), subject.split(".")
    for at, word in enumerate(wanted):
        if word == ">":
            return len(words) > at
        if at >= len(words) or (word != "*" and word != words[at]):
            return False
    return len(words) == len(wanted)


def route_matches(pattern: str, method: str, target: str) -> bool:
    """Whether a request is one of a route: `POST /users/{}`, where `{}`, `{name}` and `*` stand for
    one segment. Without a method it is any."""
    method_wanted, _, path_wanted = pattern.rpartition(" ")
    if method_wanted and method_wanted.upper() != method:
        return False
    if not path_wanted:
        return True
    wanted = path_wanted.strip("/").split("/")
    segments = target.partition("?")[0].strip("/").split("/")
    if len(wanted) != len(segments):
        return False
    return all(
        word == "*" or (word.startswith("{") and word.endswith("}")) or word == segment
        for word, segment in zip(wanted, segments, strict=True)
    )
