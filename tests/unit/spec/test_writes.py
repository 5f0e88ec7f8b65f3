"""A workload that writes does not reach a server given by URL unless that was allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadpath.errors import ConfigurationError, UnsafeTargetError
from loadpath.spec import load, refuse_writes

FILE = """
[service]
start = "serve {{port}}"

[dependencies.cache]
kind = "{kind}"
{url}
env = {{ CACHE = "{{host}}:{{port}}" }}

[workload]
arrivals = {{ open = "1/s" }}

[operations."GET /"]
request = "GET /"

[operations.order]
request = "{method} /orders"
weight = {weight}
"""


def write(
    folder: Path, url: str = "", method: str = "POST", weight: int = 1, kind: str = "valkey"
) -> Path:
    text = FILE.format(url=url and f'url = "{url}"', method=method, weight=weight, kind=kind)
    (folder / "loadpath.toml").write_text(text)
    return folder


def test_it_is_refused_by_name_and_told_how_to_go_on(tmp_path: Path) -> None:
    setup = load(write(tmp_path, "redis://127.0.0.1/0"), environ={})
    with pytest.raises(UnsafeTargetError, match=r"writes \(order\), and cache") as refused:
        refuse_writes(setup)
    assert "--allow-writes" in str(refused.value.advice)
    assert "order" in str(refused.value.advice)


@pytest.mark.parametrize(
    ("url", "method", "weight", "allowed"),
    [
        pytest.param("", "POST", 1, False, id="a server of Loadpath's own"),
        pytest.param("redis://127.0.0.1/0", "GET", 1, False, id="nothing writes"),
        pytest.param("redis://127.0.0.1/0", "DELETE", 0, False, id="what writes is not driven"),
        pytest.param("redis://127.0.0.1/0", "POST", 1, True, id="allowed"),
    ],
)
def test_otherwise_it_goes_on(
    tmp_path: Path, url: str, method: str, weight: int, allowed: bool
) -> None:
    where = write(tmp_path, url, method, weight)
    refuse_writes(load(where, environ={}, allow_writes=allowed))


def test_the_advice_works_as_it_is_written(tmp_path: Path) -> None:
    where = write(tmp_path, "redis://127.0.0.1/0")
    with pytest.raises(UnsafeTargetError) as refused:
        refuse_writes(load(where, environ={}))
    (said,) = [word for word in str(refused.value.advice).split("'") if "weight=" in word]
    refuse_writes(load(where, environ={}, overrides=[said]))


def test_a_flow_writes_unless_it_says_that_it_only_reads(tmp_path: Path) -> None:
    write(tmp_path, "redis://127.0.0.1/0", method="GET")
    with (tmp_path / "loadpath.toml").open("a") as file:
        file.write("\n[workload.keys.x]\ncount = 1\n")
    toml = tmp_path / "loadpath.toml"
    toml.write_text(toml.read_text().replace("[workload]", '[workload]\nflows = "flows.py"'))
    flow = "from loadpath.flow import get, operation\n\n@operation({name})\n"
    flow += "def it(state):\n  yield get('/')\n"
    (tmp_path / "flows.py").write_text(flow.format(name="'sign up'"))
    with pytest.raises(UnsafeTargetError, match="sign up"):
        refuse_writes(load(tmp_path, environ={}))
    (tmp_path / "flows.py").write_text(flow.format(name="'look around', alone=True"))
    refuse_writes(load(tmp_path, environ={}))


def test_an_http_dependency_is_always_given(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"dependencies\.cache\.url.*where it is"):
        load(write(tmp_path, kind="http"), environ={})
    setup = load(write(tmp_path, "http://127.0.0.1:9000", kind="http"), environ={})
    assert setup.service.dependencies[0].url == "http://127.0.0.1:9000"
    with pytest.raises(ConfigurationError, match="http URL such as http://"):
        load(write(tmp_path, "https://127.0.0.1:9000", kind="http"), environ={})
