"""Makes shop/shop.py importable, and what it has available to tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "shop"))

from shop import shop_model, shop_setup

from loadpath.changes import Known
from loadpath.model.network import Model


@pytest.fixture
def known() -> Known:
    """What a change may name, on a host of four cores."""
    return Known(shop_setup(), cores=4)


@pytest.fixture
def model() -> Model:
    """Its model."""
    return shop_model()
