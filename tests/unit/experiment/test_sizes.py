"""Which requests can be asked for fewer rows."""

from __future__ import annotations

import pytest

from loadpath.experiment.sizes import smaller
from loadpath.spec import DeclaredRequest, Operation


def paths(path: str, method: str = "GET") -> list[str]:
    operation = Operation(name="listing", request=DeclaredRequest(method=method, path=path))
    found = smaller(operation)
    assert len({each.name for each in (*found, operation)}) == len(found) + 1
    return [each.request.path for each in found if each.request is not None]


@pytest.mark.parametrize(
    ("path", "fewer"),
    [
        ("/orders?limit=20", ["/orders?limit=10", "/orders?limit=5"]),
        (
            "/links?page=1&itemsPerPage=20&orderBy=x",
            ["/links?page=1&itemsPerPage=10&orderBy=x", "/links?page=1&itemsPerPage=5&orderBy=x"],
        ),
        ("/a?per_page=3", ["/a?per_page=1"]),
        ("/a?pageSize=100", ["/a?pageSize=50", "/a?pageSize=25"]),
    ],
)
def test_half_and_a_quarter_of_the_page(path: str, fewer: list[str]) -> None:
    assert paths(path) == fewer


@pytest.mark.parametrize(
    "path",
    ["/orders", "/orders?page=2", "/a?limit={n}", "/a?limit=1", "/limit=20", "/a?rate_limit=20"],
)
def test_nothing_is_made_up_where_no_size_is_asked_for(path: str) -> None:
    assert paths(path) == []


def test_what_may_write_is_not_asked_otherwise() -> None:
    assert paths("/orders?limit=20", method="POST") == []
    assert smaller(Operation(name="a flow")) == ()
