"""The published schemas accept what Loadpath reads and prints, and refuse what it refuses."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from loadpath.report.schemas import KINDS, schema_json, schema_of

SHORTENER = Path(__file__).parents[3] / "systems" / "shortener" / "loadpath.toml"


@pytest.fixture
def service() -> dict[str, Any]:
    return tomllib.loads(SHORTENER.read_text("utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_schema(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(kind))
    assert json.loads(schema_json(kind)) == json.loads(json.dumps(schema_of(kind)))


def test_the_shipped_service_file_is_valid(service: dict[str, Any]) -> None:
    jsonschema.validate(service, schema_of("service"))


def test_an_unknown_key_is_not(service: dict[str, Any]) -> None:
    service["service"]["strat"] = "x"
    with pytest.raises(jsonschema.ValidationError, match="strat"):
        jsonschema.validate(service, schema_of("service"))


def test_a_wrong_type_is_not(service: dict[str, Any]) -> None:
    service["service"]["workers"] = "two"
    with pytest.raises(jsonschema.ValidationError, match="two"):
        jsonschema.validate(service, schema_of("service"))
