"""The shape of an SQL statement: what is left of it when its values are taken out.

The text of a shape is made by `sql_lexer` alone, and sqlglot only ever sees that text: so no value
can survive whatever sqlglot makes of a statement, and a shape's id does not depend on its version.
sqlglot says which tables a statement names. It takes a fifth of a second to import, so whoever
needs shapes imports this module, and `loadpath.wire` itself does not.
"""

from __future__ import annotations

import hashlib
import logging
from functools import lru_cache
from typing import Final

import msgspec
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from loadpath.wire.sql_lexer import Token, tokens
from loadpath.wire.sql_words import (
    KEEPS_CONSTANT,
    KEYWORDS,
    MODIFIED_TYPES,
    SYNONYMS,
    WITHOUT_TABLES,
)

CACHED_TEXT_MAX: Final = 4096
"""Characters of a statement, beyond which its shape is worked out each time."""
CACHED_MAX: Final = 10_000
PARSED_MAX: Final = 32_768
"""Characters of a shape, beyond which its tables are not looked for."""
_DEPTH_MAX: Final = 40

_VALUE: Final = "$"
_LISTS: Final = {"IN": "(", "ARRAY": "[", "VALUES": "("}
_CLOSING: Final = {"(": ")", "[": "]"}

# It warns of each statement that it does not know, which is nothing a user could act on.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


class Shape(msgspec.Struct, frozen=True):
    """`text` is normalized and holds no values: they and parameters are `$1`, `$2`, … in order.

    `id` is a digest of it, the same everywhere. Lists of values, and rows of VALUES, that are alike
    are kept once. `verb` is SELECT, INSERT, BEGIN, COMMIT, …: of the statement that WITH leads to.
    `tables` are the names of tables and views it reads or writes, as written, in lower case;
    `parsed` False means that they are not known.
    """

    id: str
    text: str
    verb: str
    tables: tuple[str, ...]
    parsed: bool


def statement_shape(text: str) -> Shape:
    """The shape of a statement, or of several that were sent as one. Never raises."""
    if len(text) > CACHED_TEXT_MAX:
        return _shape(_normal(text))
    return _cached(text)


@lru_cache(maxsize=CACHED_MAX)
def _cached(text: str) -> Shape:
    normal = _normal(text)
    return _shape(normal) if len(normal) <= CACHED_TEXT_MAX else _described(normal)


@lru_cache(maxsize=CACHED_MAX)
def _shape(normal: str) -> Shape:
    return _described(normal)


def _described(normal: str) -> Shape:
    digest = hashlib.blake2b(normal.encode("utf-8", "replace"), digest_size=6).hexdigest()
    lexed = tokens(normal)
    word = next((t.text.upper() for t in lexed if t.kind == "word"), "")
    verb = SYNONYMS.get(word, word)
    if verb in WITHOUT_TABLES or not verb:
        return Shape(digest, normal, verb, (), True)
    trees = _trees(lexed) if len(normal) <= PARSED_MAX else None
    if trees is None:
        return Shape(digest, normal, verb, (), False)
    if verb == "WITH":
        verb = _VERBS.get(type(trees[0]), verb)
    return Shape(digest, normal, verb, _tables(trees), True)


_VERBS: Final[dict[type[exp.Expr], str]] = {
    exp.Select: "SELECT",
    exp.Union: "SELECT",
    exp.Intersect: "SELECT",
    exp.Except: "SELECT",
    exp.Insert: "INSERT",
    exp.Update: "UPDATE",
    exp.Delete: "DELETE",
    exp.Merge: "MERGE",
}


def _trees(lexed: list[Token]) -> list[exp.Expr] | None:
    """What sqlglot makes of a shape; None when it does not understand it."""
    # It takes `$1,$` for a quote, so a string stands in for each value.
    text = " ".join("'x'" if t.kind == "parameter" else t.text for t in lexed)
    try:
        trees = sqlglot.parse(text, dialect="postgres")
        known = [tree for tree in trees if tree is not None]
        lost = any(tree.find(exp.Command) or isinstance(tree, exp.Alias) for tree in known)
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, LookupError):
        # Besides its own errors, it raises what it happens to trip over in text that is no SQL.
        return None
    return None if lost or not known else known


def _tables(trees: list[exp.Expr]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for tree in trees:
        named = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            if isinstance(table.parent, exp.UserDefinedFunction):
                continue
            name = ".".join(part.name for part in table.parts if isinstance(part, exp.Identifier))
            if name and not (name.lower() in named and "." not in name):
                found[name.lower()] = None
    return tuple(found)


# ---- the normal form


def _normal(text: str) -> str:
    """The statement without its values, written in one way."""
    words = _collapsed(_unnamed(_masked(tokens(text))), 0)
    while words and words[-1] == ";":
        words.pop()
    written: list[str] = []
    before, count = "", 0
    for word in words:
        if written and _apart(before, word):
            written.append(" ")
        if word == _VALUE:
            count += 1
            written.append(f"${count}")
        else:
            written.append(word)
        before = word
    return "".join(written)


def _masked(lexed: list[Token]) -> list[str]:
    """The words of a statement, each value replaced by `_VALUE`."""
    words: list[str] = []
    for i, token in enumerate(lexed):
        kind, word = token.kind, token.text
        if kind == "word":
            # PostgreSQL folds the case of ASCII alone.
            upper = word.upper() if word.isascii() else word
            if upper in ("NULL", "TRUE", "FALSE") and not _keeps_constant(words):
                _add_value(words)
            else:
                words.append(upper if upper in KEYWORDS else _folded(word))
        elif kind == "string":
            if i and lexed[i - 1].kind == "string":
                continue  # strings that follow each other are one
            _add_value(words)
        elif kind in {"parameter", "number"}:
            if word.isdecimal() and _modifies_type(words, lexed[i + 1 : i + 2]):
                words.append(word)
                continue
            _add_value(words)
        elif word != _VALUE:  # one that stands alone is no SQL, and would pass for a value
            words.append(word)
    return words


def _add_value(words: list[str]) -> None:
    """A sign before it that neither adds nor subtracts belongs to it."""
    while words and words[-1] in ("+", "-") and (len(words) == 1 or not _is_operand(words[-2])):
        words.pop()
    words.append(_VALUE)


def _unnamed(words: list[str]) -> list[str]:
    """The words with a value for each name that drivers make up anew: of savepoints and cursors.

    PostgreSQL's own pg_stat_statements leaves out most of them as well.
    """
    start = 0
    for end in range(len(words) + 1):
        if end == len(words) or words[end] == ";":
            at = _name_at(words, start, end)
            if at < end and words[at] not in KEYWORDS:
                words[at] = _VALUE
            start = end + 1
    return words


def _name_at(words: list[str], start: int, end: int) -> int:
    """Where such a name stands in the statement between these two; `end` when it has none."""
    first = words[start] if start < end else ""
    if first in ("SAVEPOINT", "DECLARE", "CLOSE"):
        return start + 1
    if first in ("RELEASE", "DEALLOCATE"):
        second = words[start + 1] if start + 2 < end else ""
        return start + (2 if second in ("SAVEPOINT", "PREPARE") else 1)
    if first in ("FETCH", "MOVE") or (first in ("ROLLBACK", "ABORT") and "TO" in words[start:end]):
        return end - 1
    return end


def _folded(word: str) -> str:
    return word.lower() if word.isascii() else word


def _keeps_constant(words: list[str]) -> bool:
    return bool(words) and words[-1] in KEEPS_CONSTANT


def _is_operand(word: str) -> bool:
    """Whether a sign after this word subtracts or adds."""
    if word in KEYWORDS:
        return False
    return word in (_VALUE, ")", "]") or word[0] == '"' or word[0].isalnum() or word[0] == "_"


def _modifies_type(words: list[str], following: list[Token]) -> bool:
    """Whether a number here says how long or exact a type is, as in `numeric(10, 2)`."""
    if not following or following[0].text not in (",", ")"):
        return False
    i = len(words) - 1
    if i >= 2 and words[i] == "," and words[i - 1].isdigit():
        i -= 2
    return i >= 1 and words[i] == "(" and words[i - 1].lower() in MODIFIED_TYPES


def _collapsed(words: list[str], depth: int) -> list[str]:
    """The words with each list of values written once."""
    result: list[str] = []
    i, end = 0, len(words)
    while i < end:
        word = words[i]
        result.append(word)
        i += 1
        opening = _LISTS.get(word)
        if opening is None or i == end or words[i] != opening or depth >= _DEPTH_MAX:
            continue
        if word == "VALUES":
            rows: dict[tuple[str, ...], None] = {}
            while i < end and words[i] == "(":
                close = _closing(words, i)
                rows[tuple(_collapsed(words[i : close + 1], depth + 1))] = None
                i = close + 1
                if i + 1 < end and words[i] == "," and words[i + 1] == "(":
                    i += 1
                else:
                    break
            result += _joined(rows)
        else:
            close = _closing(words, i)
            items: dict[tuple[str, ...], None] = {}
            for item in _items(words[i + 1 : close]):
                items[tuple(_collapsed(item, depth + 1))] = None
            result += [opening, *_joined(items)]
            if close < end:
                result.append(_CLOSING[opening])
            i = close + 1
    return result


def _joined(items: dict[tuple[str, ...], None]) -> list[str]:
    words: list[str] = []
    for n, item in enumerate(items):
        words += [",", *item] if n else item
    return words


def _closing(words: list[str], start: int) -> int:
    """Where the bracket at `start` is closed; the end when it is not."""
    depth = 0
    for i in range(start, len(words)):
        if words[i] in ("(", "["):
            depth += 1
        elif words[i] in (")", "]"):
            depth -= 1
            if not depth:
                return i
    return len(words)


def _items(words: list[str]) -> list[list[str]]:
    """What commas separate."""
    items: list[list[str]] = [[]]
    depth = 0
    for word in words:
        if word == "," and not depth:
            items.append([])
            continue
        depth += 1 if word in ("(", "[") else -1 if word in (")", "]") else 0
        items[-1].append(word)
    return items


def _apart(before: str, word: str) -> bool:
    """Whether a space stands between these two."""
    if word in (",", ")", "]", ";", ".") or before in ("(", "[", "."):
        return False
    if word == "::":
        return not _is_operand(before)
    if before == "::":
        return not (word[0].isalnum() or word[0] in '_"')
    if word == "[":
        return before != "ARRAY" and before in KEYWORDS
    if word == "(":
        return before in KEYWORDS or not (before[0].isalnum() or before[0] in '_"')
    return True
