"""Settings from the environment, and what is said of wrong ones."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest
from systems_common.settings import Secret, SettingsError, from_environment


class Example(msgspec.Struct, frozen=True, kw_only=True):
    address: Secret
    pool: Annotated[int, msgspec.Meta(ge=1, le=9)] = 3
    mode: Literal["slow", "fast"] = "fast"
    ratio: float = 0.5
    deep: bool = False


def test_values_are_converted_and_defaults_kept() -> None:
    read = from_environment(
        Example, {"ADDRESS": "somewhere", "POOL": "7", "DEEP": "true", "OTHER": "x"}
    )
    assert read == Example(address="somewhere", pool=7, deep=True)


def test_an_empty_variable_counts_as_not_set() -> None:
    assert from_environment(Example, {"ADDRESS": "a", "POOL": ""}).pool == 3


def test_everything_that_is_wrong_is_said_at_once() -> None:
    environment = {"POOL": "10", "MODE": "medium", "RATIO": "half"}
    with pytest.raises(SettingsError) as raised:
        from_environment(Example, environment)
    address, pool, mode, ratio = raised.value.problems
    assert address == "ADDRESS is not set; expected a text"
    assert pool.startswith("POOL is wrong: expected a whole number at least 1 at most 9, got '10'")
    assert mode == "MODE is wrong: expected slow or fast, got 'medium'"
    assert ratio.startswith("RATIO is wrong: expected a number, got 'half'")


def test_a_secret_is_not_repeated() -> None:
    class Keyed(msgspec.Struct, frozen=True):
        key: Annotated[str, msgspec.Meta(min_length=40, extra={"secret": True})]

    with pytest.raises(SettingsError) as raised:
        from_environment(Keyed, {"KEY": "hunter2"})
    assert "KEY is wrong" in str(raised.value)
    assert "hunter2" not in str(raised.value)
