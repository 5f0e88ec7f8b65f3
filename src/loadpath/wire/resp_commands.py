"""What a Redis command is called and where its first key stands."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

ARGUMENTS_KEPT: Final = 16
"""The arguments that are looked at: no first key stands later, unless an option repeats itself."""

# Where the first key stands: at that place; nowhere; behind the number of keys, which stands at
# the negative of that place; behind the word STREAMS.
_NOWHERE = 0
_STREAMS = -100


def _placed(names: str, place: int) -> dict[str, int]:
    return dict.fromkeys(names.split(), place)


_PLACES = {
    **_placed("ACL ASKING AUTH BGREWRITEAOF BGSAVE CLIENT CLUSTER COMMAND COMMANDLOG", _NOWHERE),
    **_placed("CONFIG DBSIZE DEBUG DISCARD ECHO EXEC FAILOVER FLUSHALL FLUSHDB FUNCTION", _NOWHERE),
    **_placed("HELLO INFO KEYS LASTSAVE LATENCY LOLWUT MEMORY MODULE MONITOR MULTI", _NOWHERE),
    **_placed("OBJECT PFSELFTEST PING PSYNC PUBSUB QUIT RANDOMKEY READONLY READWRITE", _NOWHERE),
    **_placed("REPLCONF REPLICAOF RESET ROLE SAVE SCAN SCRIPT SELECT SHUTDOWN SLAVEOF", _NOWHERE),
    **_placed("SLOWLOG SWAPDB SYNC TIME UNWATCH WAIT WAITAOF XGROUP XINFO", _NOWHERE),
    **_placed("BITOP PFDEBUG", 2),
    **_placed("MIGRATE", 3),
    **_placed("LMPOP MSETEX SINTERCARD ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION", -1),
    **_placed("BLMPOP BZMPOP EVAL EVALSHA EVALSHA_RO EVAL_RO FCALL FCALL_RO", -2),
    **_placed("XREAD XREADGROUP", _STREAMS),
}
# Commands that are made of two words: where the key of each subcommand stands that has one.
_KEYED = {
    "MEMORY": _placed("USAGE", 2),
    "OBJECT": _placed("ENCODING FREQ IDLETIME REFCOUNT", 2),
    "XGROUP": _placed("CREATE CREATECONSUMER DELCONSUMER DESTROY SETID", 2),
    "XINFO": _placed("CONSUMERS GROUPS STREAM", 2),
}
_CONTAINERS = {"ACL", "CLIENT", "CLUSTER", "COMMAND", "COMMANDLOG", "CONFIG", "FUNCTION"} | {
    *("LATENCY", "MODULE", "PUBSUB", "SCRIPT", "SLOWLOG"),
    *_KEYED,
}
# The words behind an option of XREAD and XREADGROUP, which may be anything, STREAMS included.
_OPTION_WORDS = {b"GROUP": 2, b"COUNT": 1, b"BLOCK": 1, b"CLAIM": 1}
_VERB_LENGTH_MAX = 64


@lru_cache(maxsize=1024)
def _look_up(word: bytes) -> tuple[str, int]:
    verb = _verb(word)
    # A command that nobody here knows is a module's, and those take their key first.
    return verb, _PLACES.get(verb, 1)


def _verb(word: bytes) -> str:
    return word[:_VERB_LENGTH_MAX].decode("ascii", "backslashreplace").upper()


def describe(arguments: Sequence[bytes], rest: int = 0) -> tuple[str, str, int]:
    """The verb, the first key ("": none) and the hash of all else of a command.

    `arguments` are the first `ARGUMENTS_KEPT`, the command's name among them; `rest` is a hash of
    those behind (0: there are none). A container's subcommand is part of the verb: `CLIENT INFO`.
    Channels are told as keys are.
    """
    word = arguments[0]
    verb, place = _look_up(word if len(word) <= _VERB_LENGTH_MAX else word[:_VERB_LENGTH_MAX])
    if place == 1 and len(arguments) == 2:
        return verb, arguments[1].decode("utf-8", "backslashreplace"), rest
    first = 1
    if place != 1:
        if verb in _CONTAINERS and len(arguments) > 1:
            subcommand = _verb(arguments[1])
            first = 2
            place = _KEYED.get(verb, {}).get(subcommand, _NOWHERE)
            verb = f"{verb} {subcommand}"
        elif place < 0:
            place = _behind_words(arguments) if place == _STREAMS else _counted(arguments, -place)
    if 0 < place < len(arguments):
        text = arguments[place].decode("utf-8", "backslashreplace")
        others = (*arguments[first:place], *arguments[place + 1 :])
    else:
        text = ""
        others = tuple(arguments[first:])
    return verb, text, hash((others, rest)) if others or rest else 0


def _counted(arguments: Sequence[bytes], place: int) -> int:
    """The place behind a number of keys, unless that number is none."""
    number = arguments[place] if place < len(arguments) else b"0"
    return place + 1 if number.isdigit() and number.strip(b"0") else _NOWHERE


def _behind_words(arguments: Sequence[bytes]) -> int:
    place = 1
    while place < len(arguments):
        word = arguments[place].upper()
        if word == b"STREAMS":
            return place + 1
        place += 1 + _OPTION_WORDS.get(word, 0)
    return _NOWHERE
