"""Paths that differ by an id are one operation; words that an API is made of stay words."""

from __future__ import annotations

import numpy as np
import pytest

from loadpath.caching.logs.paths import OTHERS, TEMPLATES_MAX, WORDS_MAX, Paths


def named(*requests: str, count: int = 1) -> list[str]:
    """The operation of each request."""
    paths = Paths()
    numbers = [paths.number_of(request.encode()) for request in requests]
    names, belongs = paths.names(np.bincount(numbers, minlength=len(paths)) * count)
    return [names[belongs[number]] for number in numbers]


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", "/"),
        ("/users/4711/posts?page=2", "/users/{id}/posts"),
        ("/orders/550e8400-e29b-41d4-a716-446655440000", "/orders/{uuid}"),
        ("/commit/9f8a7b6c5d", "/commit/{hex}"),
        ("/aB3xY7", "/{code}"),
        ("/static/app.9f8a7b6c5d.js", "/static/{code}.js"),
        ("/api/v1/users", "/api/v1/users"),
        ("/index.html", "/index.html"),
        ("/archive/2024-01-31/", "/archive/{id}/"),
        ("/search?q=/a/1", "/search"),
        ("/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/…"),
    ],
)
def test_what_looks_like_an_id_is_one(path: str, template: str) -> None:
    assert named(f"GET {path}") == [f"GET {template}"]


def test_methods_and_hosts_are_told_apart() -> None:
    assert named("GET a.example/x", "PUT a.example/x") == ["GET a.example/x", "PUT a.example/x"]


def test_more_words_than_an_api_has_are_names_but_for_those_that_lead_on() -> None:
    letters = "abcdefghij"
    titles = [f"GET /posts/about-{a}-and-{b}" for a in letters for b in letters]
    found = named("GET /posts/new/form", *["GET /posts/recent"] * 20, *titles)
    assert found[0] == "GET /posts/new/form"
    assert set(found[21:]) == {"GET /posts/{name}"}
    assert "GET /posts/recent" in found  # more than a tenth of what is asked there
    assert len(set(found)) == 3


def test_few_words_stay_what_they_are() -> None:
    words = [f"GET /{chr(97 + n)}x" for n in range(20)]
    assert named(*words) == words
    assert len(words) < WORDS_MAX


def test_templates_are_bounded_whatever_comes() -> None:
    paths = Paths()
    for a in range(30):
        for b in range(30):
            for c in range(4):
                paths.number_of(f"GET /x{'x' * a}/y{'z' * b}/{'q' * c}".encode())
    assert len(paths) <= TEMPLATES_MAX + 1
    names, _ = paths.names(np.ones(len(paths), dtype=np.int64))
    assert f"GET {OTHERS}" in names
