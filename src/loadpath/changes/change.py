"""What every change is: a title, a pure function of a model, and one of a setup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

from loadpath.errors import ConfigurationError, ExitCode, LoadpathError
from loadpath.model.network import Model
from loadpath.spec import Setup


class NotPredictedError(LoadpathError):
    """A model cannot say what this change does; the message says why. It can be measured."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


class NotAppliedError(LoadpathError):
    """This change cannot be made for real by Loadpath; the message says why. It is predicted."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


class ChangeError(ConfigurationError):
    """The words of a change cannot be read; `excerpt` points at the one that is wrong."""


class Change(Protocol):
    """A what-if: frozen, with two pure interpreters."""

    @property
    def title(self) -> str:
        """The change as one would write it."""
        ...

    @property
    def assumes(self) -> str:
        """What its prediction takes for granted, a clause to show beside it; may be empty."""
        ...

    def predict(self, model: Model) -> Model:
        """The model with the change made. Raises `NotPredictedError`."""
        ...

    def apply(self, setup: Setup) -> Setup:
        """The setup with the change made. Raises `NotAppliedError`."""
        ...


def applied(changes: Iterable[Change], setup: Setup) -> tuple[Setup, tuple[str, ...]]:
    """The setup with every change made that can be, and why the others cannot."""
    reasons = []
    for change in changes:
        try:
            setup = change.apply(setup)
        except NotAppliedError as error:
            reasons.append(f"{change.title}: {error.message}")
    return setup, tuple(reasons)
