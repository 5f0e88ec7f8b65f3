"""The simulated policies beside a real Valkey that is full: the same stream, as many entries."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_BENCH = Path(__file__).parents[3] / "bench"


@pytest.fixture(scope="module")
def eviction(module_path: None) -> Any:
    spec = importlib.util.spec_from_file_location("eviction", _BENCH / "eviction.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["eviction"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def module_path() -> Any:
    """`support` of the bench can be imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(_BENCH))
        yield


@pytest.fixture(scope="module")
def keys(eviction: Any) -> Any:
    """Popular keys, and scans of keys that never come again, which an LRU lets push them out."""
    return eviction.with_scans(eviction.zipf(9_000, 8_000, 0.9, 2), 1_500, 500)


def test_lfu_is_simulated_as_valkey_does_it(eviction: Any, keys: Any) -> None:
    played = eviction.play("allkeys-lfu", keys, 600)
    assert 300 < played.entries < 1_200
    simulated = eviction.simulated("allkeys-lfu", played, keys)
    assert np.mean(simulated) == pytest.approx(played.hit_ratio, abs=0.02)
    # It is no test where every policy would do as well.
    (lru,) = eviction.simulated("allkeys-lru", played, keys)
    assert np.mean(simulated) > lru + 0.03


def test_an_exact_lru_is_what_valkeys_comes_near_to(eviction: Any, keys: Any) -> None:
    """Asked this fast it cannot be as good: its clock of last uses counts seconds."""
    played = eviction.play("allkeys-lru", keys, 600)
    (exact,) = eviction.simulated("allkeys-lru", played, keys)
    assert exact - 0.08 < played.hit_ratio < exact + 0.02
