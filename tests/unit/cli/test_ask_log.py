"""`loadpath ask cache --log FILE`, as a user calls it."""

from __future__ import annotations

import base64
import gzip
import importlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest

from loadpath.report.schemas import schema_of

from .conftest import Ended

TOOL = Path(__file__).resolve().parents[3] / "tools/acceptance"
LoadPath = Callable[..., Ended]


@pytest.fixture(scope="module")
def logs() -> ModuleType:
    sys.path.insert(0, str(TOOL))
    try:
        return importlib.import_module("logs")
    finally:
        sys.path.remove(str(TOOL))


@pytest.fixture(scope="module")
def log(logs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("logs") / "access.log"
    logs.write(file, 20_000, keys=5000)
    return file


def test_it_tells_hits_savings_and_popularity_and_what_a_log_cannot_tell(
    loadpath: LoadPath, log: Path
) -> None:
    ended = loadpath("ask", "cache", "--log", log)
    assert (ended.code, ended.err) == (0, "")
    assert "access.log · Combined · 20,000 lines" in ended.out
    assert "GET /api/links/{code}" in ended.out
    assert "POST /api/links" in ended.out
    told = " ".join(ended.out.split())
    assert "not GET or HEAD, so not cached" in told
    assert "A log cannot tell how stale hits would be" in told
    assert "20,000 of 20,000 lines read" in told
    assert max(map(len, ended.out.splitlines())) <= 80


def test_the_document_follows_its_schema_and_has_the_figures(
    loadpath: LoadPath, log: Path, logs: ModuleType
) -> None:
    ended = loadpath("ask", "cache", "--log", log, "--json")
    document = json.loads(ended.out)
    jsonschema.validate(document, schema_of("access-log"))
    found = document["findings"]
    assert (found["lines"], found["bad"], found["rate"]) == (20_000, 0, 1.0)
    ratios = [point["hit_ratio"] for point in found["all"]["by_ttl"]]
    assert ratios == sorted(ratios)
    reads = found["all"]["reads"]
    assert ratios[-1] == pytest.approx(1 - found["all"]["keys"] / reads)
    popularity = found["all"]["popularity"]
    assert popularity["kind"] == "power law"
    assert popularity["exponent"]["low"] <= logs.EXPONENT <= popularity["exponent"]["high"]


def test_gzip_is_known_by_what_it_is(loadpath: LoadPath, logs: ModuleType, tmp_path: Path) -> None:
    log, packed = tmp_path / "access.log", tmp_path / "yesterday"
    logs.write(log, 400)
    packed.write_bytes(gzip.compress(log.read_bytes(), 1))
    plain = json.loads(loadpath("ask", "cache", "--log", log, "--json").out)
    assert (
        json.loads(loadpath("ask", "cache", "--log", packed, "--json").out)["findings"]
        == plain["findings"]
    )
    packed.write_bytes(packed.read_bytes()[:-200])
    ended = loadpath("ask", "cache", "--log", packed)
    assert ended.code == 2
    assert "cannot be read to its end" in ended.err


def test_lines_that_cannot_be_read_are_counted_and_the_first_is_shown(
    loadpath: LoadPath, log: Path, tmp_path: Path
) -> None:
    lines = log.read_text().splitlines(keepends=True)[:400]
    lines[199:199] = ["Segmentation fault \x1b[31m(core dumped)\n"] * 20
    file = tmp_path / "broken.log"
    file.write_text("".join(lines))
    ended = loadpath("ask", "cache", "--log", file, "-o", tmp_path / "told.txt")
    told = " ".join(ended.out.split())
    assert ended.code == 0
    assert "400 of 420 lines read" in told
    assert "Line 200: not in the Common or Combined Log Format: Segmentation fault" in told
    assert "\x1b" not in ended.out
    assert (tmp_path / "told.txt").read_text("utf-8") == ended.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found an empty file"),
        (b"hello\nworld\n", "expected an access log"),
        (b"\x00" * 3_000_000, "expected lines of text"),
        (b'{"a": 1}\n', "do not have time and status and method and path; they have a"),
        (b"\n\n\n", "expected an access log"),
    ],
)
def test_what_is_no_access_log_ends_in_2(
    loadpath: LoadPath, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    ended = loadpath("ask", "cache", "--log", file)
    assert ended.code == 2
    assert said in ended.err
    assert str(file) in ended.err


def test_a_log_that_is_not_there_ends_in_2(loadpath: LoadPath, tmp_path: Path) -> None:
    ended = loadpath("ask", "cache", "--log", tmp_path / "none")
    assert (ended.code, "No such file" in ended.err) == (2, True)


def test_fields_of_json_may_be_named(loadpath: LoadPath, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    row = {"when": 971211336, "verb": "GET", "to": {"path": "/a"}, "status": 200}
    file.write_text((json.dumps(row) + "\n") * 3)
    ended = loadpath("ask", "cache", "--log", file)
    assert ended.code == 2
    assert "--log-field time=NAME" in ended.err
    named = ("--log-field", "time=when", "--log-field", "path=to.path")
    ended = loadpath("ask", "cache", "--log", file, *named, "--json")
    assert json.loads(ended.out)["findings"]["operations"][0]["name"] == "GET /a"
    ended = loadpath("ask", "cache", "--log", file, "--log-field", "colour=red")
    assert (ended.code, "expected FIELD=NAME" in ended.err) == (2, True)


def test_a_log_belongs_to_the_question_of_caching(loadpath: LoadPath, log: Path) -> None:
    ended = loadpath("ask", "bottleneck", "--log", log)
    assert (ended.code, "belong to `loadpath ask cache`" in ended.err) == (2, True)
    ended = loadpath("ask", "cache", "--log", log, "--format", "github")
    assert (ended.code, "is for runs" in ended.err) == (2, True)


def test_its_page_shows_hits_against_ttl_and_size(
    loadpath: LoadPath, logs: ModuleType, tmp_path: Path
) -> None:
    log, page = tmp_path / "<b>.log", tmp_path / "told.html"
    logs.write(log, 3000)
    ended = loadpath("ask", "cache", "--log", log, "-o", page, "--format", "markdown")
    assert ended.out.startswith("### Loadpath: &lt;b&gt;.log")
    text = page.read_text("utf-8")
    assert "<b>.log" not in text
    encoded = re.search(r"data:image/svg\+xml;base64,([^\"]+)", text)
    assert encoded is not None
    picture = base64.b64decode(encoded[1]).decode()
    assert "size (LRU), no TTL" in picture
    assert picture.count('<polyline class="hits"') == 2
    assert "<b>.log" not in picture
