"""PostgreSQL's lexical rules, as far as needed to tell values from the rest of a statement.

It follows "Lexical Structure" in PostgreSQL's manual, with `standard_conforming_strings` on, the
default since 9.1. It reads any text to its end: a string or comment that is not closed (a statement
that was cut) lasts until there.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["word", "quoted", "string", "number", "parameter", "operator", "mark"]


class Token(NamedTuple):
    """`text` as it was written, and where in the statement that begins."""

    kind: Kind
    text: str
    at: int


# Alternatives are possessive (`*+`), so that no text takes more than linear time.
_TOKEN: Final = re.compile(
    r"""
    (?P<space> [\s\x00-\x20\x7f]++ | --[^\r\n]*+ )
  | (?P<comment> /\* )
  | (?P<string> [eE]'(?:[^'\\]|\\.|'')*+(?:'|\\?\Z)
              | (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*+(?:'|\Z) )
  | (?P<dollar> \$(?:[^\W\d]\w*+)?\$ )
  | (?P<quoted> (?:[uU]&)?"(?:[^"]|"")*+(?:"|\Z) )
  | (?P<parameter> \$\d++ )
  | (?P<word> [^\W\d][\w$]*+ )
  | (?P<number> (?:\d[\d_]*+(?:\.(?!\.)[\d_]*+)?|\.\d[\d_]*+)(?:[eE][+-]?\d[\d_]*+)?\w*+ )
  | (?P<operator> (?:(?!--|/\*)[-+*/<>=~!@\#%^&|`?:])++ )
  | (?P<mark> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT: Final = re.compile(r"/\*|\*/")
_ANY_END: Final = re.compile(r"[~!@#%^&|`?]")


def tokens(text: str) -> list[Token]:
    """The tokens of a statement, without space and comments."""
    found: list[Token] = []
    at, end = 0, len(text)
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:  # cannot be: the last alternative takes anything
            break
        kind, start = match.lastgroup, at
        at = match.end()
        if kind == "space":
            continue
        if kind == "comment":
            at = _comment_end(text, at)
        elif kind == "dollar":
            closing = text.find(match[0], at)
            at = end if closing < 0 else closing + len(match[0])
            found.append(Token("string", text[start:at], start))
        elif kind == "operator":
            word = match[0]
            # A sign at the end belongs to what follows, unless the operator has one of the
            # characters that no operator of standard SQL has.
            while len(word) > 1 and word[-1] in "+-" and not _ANY_END.search(word):
                word = word[:-1]
            at = start + len(word)
            found.append(Token("operator", word, start))
        else:
            found.append(Token(kind, match[0], start))  # type: ignore[arg-type]
    return found


def _comment_end(text: str, at: int) -> int:
    """Where the comment ends whose inside begins at `at`; comments nest."""
    depth = 1
    for match in _COMMENT.finditer(text, at):
        depth += 1 if match[0] == "/*" else -1
        if not depth:
            return match.end()
    return len(text)


def top_level_statements(text: str) -> list[str]:
    """What semicolons separate, without what is empty; those within a body do not count."""
    found: list[str] = []
    start: int | None = None
    depth = body = 0
    words: list[str] = []
    for token in tokens(text):
        if token.text == ";" and not depth and not body:
            if start is not None:
                found.append(text[start : token.at].rstrip())
            start, words = None, []
            continue
        if start is None:
            start = token.at
        if token.text in ("(", ")"):
            depth = max(0, depth + (1 if token.text == "(" else -1))
        elif token.kind == "word":
            word = token.text.upper()
            words.append(word) if len(words) < 4 else None
            # A function's body in standard SQL: BEGIN ATOMIC …; …; END
            if words[0] == "CREATE" and {"FUNCTION", "PROCEDURE"} & set(words):
                if word == "BEGIN" or (word == "CASE" and body):
                    body += 1
                elif word == "END" and body:
                    body -= 1
    if start is not None:
        found.append(text[start:].rstrip())
    return found
