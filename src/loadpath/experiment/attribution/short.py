"""A statement in few columns: which table, by what condition."""

from __future__ import annotations

import re

_SELECTED = re.compile(r"^SELECT (?!\*)(?!.{0,24} FROM ).*? FROM ", re.DOTALL)
_FEW_SELECTED = re.compile(r"^SELECT [^*(]*? FROM ", re.DOTALL)
_INSERTED = re.compile(r"^(INSERT INTO [^\s(]+)\s*\(.*", re.DOTALL)
_CAST = re.compile(r"(?<=[\w)])::[a-z_]\w*(?:\[\])?")
_QUALIFIED = re.compile(r"""(?<![\w."$])(?:"[^"]+"|[a-z_]\w*)\.(?=["a-z_*])""", re.IGNORECASE)
_QUOTED = re.compile(r'"([a-z_][a-z0-9_]*)"')
_SET = re.compile(r"^(UPDATE \S+) SET .*? (?=WHERE )", re.DOTALL)
_TO_CONDITION = re.compile(r"^(.*?\b(?:FROM|INTO) [^\s(,]+),? (?!WHERE ).*? (?=WHERE )", re.DOTALL)


def short_shape(text: str, width: int) -> str:
    """A shape in at most `width` columns, what tells statements apart kept as long as it can be:
    the verb, the table and the condition; columns, casts and joins go first."""
    for shorten in (_without_columns, _without_prefixes, _without_few_columns, _without_joins):
        if len(text) <= width:
            return text
        text = shorten(text)
    return text if len(text) <= width else text[: max(1, width - 1)] + "…"


def _without_columns(text: str) -> str:
    return _INSERTED.sub(r"\1 …", _SELECTED.sub("SELECT … FROM ", text))


def _without_prefixes(text: str) -> str:
    """`"orders"."id" = $1::integer` as `id = $1`; tables keep the names of their schemas."""
    head, where, rest = text.partition(" WHERE ")
    rest = _QUALIFIED.sub("", rest)
    return _QUOTED.sub(r"\1", _CAST.sub("", head + where + rest))


def _without_few_columns(text: str) -> str:
    return _FEW_SELECTED.sub("SELECT … FROM ", text)


def _without_joins(text: str) -> str:
    if text.startswith("UPDATE "):
        return _SET.sub(r"\1 SET … ", text)
    return _TO_CONDITION.sub(r"\1 … ", text)
