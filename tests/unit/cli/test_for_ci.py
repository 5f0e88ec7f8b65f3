"""What a pipeline uses: compare, --format github, schema."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from golden_recordings import Golden as GoldenRecording
from golden_recordings import Truth, mix_recording, setup, today

from loadpath.recording import Run, RunInfo
from loadpath.recording.runs import create_run, list_runs
from loadpath.report.schemas import schema_of
from loadpath.spec import OpenArrivals

Loadpath = Callable[..., Any]

SERVICE_FILE = """\
[service]
start = "granian shop:app --port {port}"

[workload]
arrivals = { open = "960/s" }

[objective]
p99 = "50ms"

[operations."GET /item"]
request = "GET /item"
"""


def begin(folder: Path) -> Run:
    info = RunInfo(
        service="shop",
        command=("loadpath", "run"),
        started_s=time.time(),
        status="complete",
        notes={"questions": ["bottleneck"]},
    )
    return create_run(folder, info)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: twice the same service, then one that carries less."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "loadpath.toml").write_text(SERVICE_FILE)
    for truth in (Truth(), Truth(), Truth(capacity_per_s=700.0)):
        mix_recording(begin(folder).directory / "recordings", setup(), truth)
    return folder


def names(folder: Path) -> list[str]:
    return [run.name for run in list_runs(folder)]


def test_the_same_service_ends_in_0(loadpath: Loadpath, shop: Path) -> None:
    first, second, _ = names(shop)
    found = loadpath("compare", first, second, "-C", shop)
    assert (found.code, found.err) == (0, "")
    assert found.out.endswith("= same\n")
    assert max(map(len, found.out.splitlines())) <= 80


def test_a_regression_ends_in_1_and_is_named(loadpath: Loadpath, shop: Path) -> None:
    first, _, worse = names(shop)
    found = loadpath("compare", first, worse, "-C", shop, "--json")
    assert found.code == 1
    document = json.loads(found.out)
    assert (document["exit_code"], document["comparison"]["verdict"]) == (1, "worse")
    knee = document["comparison"]["differences"][0]
    assert knee["verdict"] == "worse"
    assert knee["ratio"]["high"] < 1


def test_an_unknown_run_ends_in_2(loadpath: Loadpath, shop: Path) -> None:
    assert loadpath("compare", "yesterday", "latest", "-C", shop).code == 2


def test_what_json_prints_is_what_the_schema_says(loadpath: Loadpath, shop: Path) -> None:
    printed = loadpath("report", names(shop)[0], "-C", shop, "--json").out
    jsonschema.validate(json.loads(printed), schema_of("results"))


def test_github_gets_an_annotation_and_a_summary(
    loadpath: Loadpath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loadpath.toml").write_text(SERVICE_FILE)
    busy = setup(arrivals=OpenArrivals(960.0))
    today(GoldenRecording(begin(tmp_path).directory / "recordings", busy, Truth()))
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    found = loadpath("report", "-C", tmp_path, "--format", "github")
    assert found.code == 1
    assert "::error file=loadpath.toml,line=8,title=Loadpath%3A objective p99 missed::" in found.out
    assert summary.read_text("utf-8").startswith("### Loadpath: shop")


@pytest.mark.parametrize("kind", ["service", "results"])
def test_schemas_are_printed(loadpath: Loadpath, kind: str) -> None:
    found = loadpath("schema", kind)
    assert found.code == 0
    assert msgspec.json.decode(found.out)["$schema"].startswith("https://json-schema.org/")
