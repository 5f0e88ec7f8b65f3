"""Runs a workload file and finds what it marked: operations, and checks of what still holds."""

from __future__ import annotations

import inspect
import math
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from loadpath.errors import ConfigurationError
from loadpath.flow import EffectsMark, Flow, FlowMark, HoldMark, LoginMark, Mark, marks
from loadpath.spec.source import shown_path

Marked: TypeAlias = tuple[Mark, Callable[..., Flow]]


def load_flows(path: Path) -> tuple[Marked, ...]:
    """Every function that the file marked, with its mark, in the order written.

    The file is run as a module, with its own folder importable, and leaves no bytecode behind.
    Raises `ConfigurationError` that names the file and line when it will not run, marks a function
    that is no generator, or gives one name twice.
    """
    module = _run(path)
    found = tuple(marks(vars(module)))
    names: set[str] = set()
    for mark, function in found:
        wrong = _wrong(mark, function, names)
        if wrong is not None:
            raise ConfigurationError(
                wrong,
                file=shown_path(path),
                line=inspect.unwrap(function).__code__.co_firstlineno,
                advice='A flow is `@operation("POST /orders", weight=2)` over a function that says '
                '`reply = yield post("/orders")`.',
            )
        names.add(_name(mark))
    return found


def _name(mark: Mark) -> str:
    """What may be there once only; a login's name is none that a flow can have."""
    if isinstance(mark, FlowMark):
        return mark.name
    if isinstance(mark, LoginMark):
        return "\0login"
    return f"\0effects {mark.kind}" if isinstance(mark, EffectsMark) else f"\0{mark.kind}"


def _wrong(mark: Mark, function: Callable[..., Flow], names: set[str]) -> str | None:
    """What is wrong with a marked function; `names` are those of the marks before it."""
    if not inspect.isgeneratorfunction(function):
        return f"{function.__name__} is marked as a flow but never yields a request"
    if isinstance(mark, HoldMark):
        return None
    if isinstance(mark, EffectsMark):
        if _name(mark) in names:
            return f"{function.__name__} is a second one that counts the effects of `{mark.kind}`"
        return None
    if isinstance(mark, LoginMark):
        if _name(mark) in names:
            return f"{function.__name__} is a second login: expected one, for every identity"
        return None
    if mark.name in names:
        return f"two flows are called `{mark.name}`"
    if not _is_number(mark.weight) or mark.weight < 0:
        return f"`{mark.name}`: expected a weight of at least 0, got {mark.weight!r}"
    if mark.timeout_s is not None and (not _is_number(mark.timeout_s) or mark.timeout_s <= 0):
        return f"`{mark.name}`: expected a timeout_s above 0, got {mark.timeout_s!r}"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _run(path: Path) -> ModuleType:
    shown = shown_path(path)
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the flows cannot be read: {error.strerror}", file=shown
        ) from None
    module = ModuleType(f"loadpath_workload_{path.stem}")
    module.__file__ = str(path)
    # Dataclasses and structs of the file look their module up by name.
    sys.modules[module.__name__] = module
    sys.path.insert(0, str(path.parent))
    try:
        exec(compile(source, str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:  # whatever a user's file may raise
        raise ConfigurationError(
            f"the file does not run: {type(error).__name__}: {error}".rstrip(": "),
            file=shown,
            line=_line(error, path),
            advice="It needs no more than `from loadpath.flow import …`; check what it imports.",
        ) from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def _line(error: BaseException, path: Path) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return lines[-1] if lines else None
