"""Settings from environment variables into a frozen msgspec struct.

The variable of a field is its name in upper case. A field without a default must be set. Every
variable that is missing or wrong is reported at once, because a deployment that fails one variable
at a time is a waste of somebody's afternoon.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

__all__ = ["Secret", "SettingsError", "from_environment"]

S = TypeVar("S", bound=msgspec.Struct)

SECRET = msgspec.Meta(extra={"secret": True})
Secret = Annotated[str, SECRET]
"""A text whose value never stands in an error message."""


class SettingsError(Exception):
    """Some variables are missing or wrong; the message has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def from_environment(kind: type[S], environment: Mapping[str, str]) -> S:
    """Read a struct from the environment; an empty variable counts as not set.

    Raises `SettingsError` that names every variable that is missing or does not fit.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        variable = field.name.upper()
        text = environment.get(variable, "")
        if not text:
            if field.required:
                problems.append(f"{variable} is not set; expected {_expected(hints[field.name])}")
            continue
        try:
            values[field.name] = msgspec.convert(text, hints[field.name], strict=False)
        except msgspec.ValidationError as error:
            shown = "" if _is_secret(hints[field.name]) else f", got {text!r}"
            reason = f" ({error})" if not shown or "Invalid enum" not in str(error) else ""
            problems.append(
                f"{variable} is wrong: expected {_expected(hints[field.name])}{shown}{reason}"
            )
    if problems:
        raise SettingsError(problems)
    return msgspec.convert(values, kind, strict=False)


def _is_secret(hint: Any) -> bool:
    return any(
        isinstance(part, msgspec.Meta) and bool((part.extra or {}).get("secret"))
        for part in getattr(hint, "__metadata__", ())
    )


def _expected(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        meta = [part for part in hint.__metadata__ if isinstance(part, msgspec.Meta)]
        limits = [
            f"{word} {value}"
            for part in meta
            for word, value in (
                ("at least", part.ge),
                ("more than", part.gt),
                ("at most", part.le),
                ("matching", part.pattern),
            )
            if value is not None
        ]
        return " ".join([_expected(get_args(hint)[0]), *limits])
    if get_origin(hint) is Literal:
        return " or ".join(str(value) for value in get_args(hint))
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    if hint in names:
        return names[hint]
    alternatives = [_expected(part) for part in get_args(hint) if part is not type(None)]
    return " or ".join(alternatives) or getattr(hint, "__name__", str(hint))
