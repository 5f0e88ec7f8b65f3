"""Loadpath: what will bottleneck, what to cache, what a crash costs, what growth does. Measured.

The names of `__all__` are imported when they are first used: a command pays for none of them.
"""

from importlib import import_module as _import_module

__version__ = "0.1.0"

_PLACES = {
    "Answer": "answer",
    "Check": "answer",
    "Fitted": "model.network",
    "Forecast": "questions.forecast",
    "Interval": "answer",
    "LoadpathError": "errors",
    "Prediction": "model.predict",
    "Recording": "recording",
    "Run": "recording",
    "Setup": "spec",
    "State": "answer",
    "ask": "library",
    "find_run": "library",
    "fit": "library",
    "load": "spec",
    "predict": "library",
    "record": "library",
    "render": "library",
    "verify": "library",
}

__all__ = ["__version__", *_PLACES]  # noqa: PLE0604 - all of them are strings


def __getattr__(name: str) -> object:
    """Import a public name (PEP 562). What type checkers read is `__init__.pyi`."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(_import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
