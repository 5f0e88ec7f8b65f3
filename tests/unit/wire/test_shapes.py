"""Shapes: which parts of a key, a subject or a path are values, alone and learned from a set."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.wire.shape_sets import MANY, PLACES_MAX, ShapeSet
from loadpath.wire.shapes import key_shape, path_shape, subject_shape


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("", ""),
        ("link:abc123", "link:*"),
        ("link:xKpQmZ", "link:*"),
        ("link:aB3-x_Y9", "link:*"),
        ("user:17:profile", "user:*:profile"),
        ("user-17", "user-*"),
        ("user_profile:17", "user_profile:*"),
        ("{user:17}:cart", "{user:*}:cart"),
        ("userProfiles:userID", "userProfiles:userID"),
        ("cache:v1:sha256:users", "cache:v1:sha256:users"),
        ("session:550e8400-e29b-41d4-a716-446655440000", "session:*"),
        ("celery-task-meta-3f2a1b3c-1111-2222-3333-444455556666", "celery-task-meta-*"),
        ("ada@example.org:inbox", "*:inbox"),
        ("rate:10.0.0.1:minute", "rate:*:minute"),
        ("visits:2026-11-22", "visits:*"),
        ("score:-17", "score:*"),
        ("name:Zoë", "name:*"),
        ("bin:\\xff\\x01", "bin:*"),
        ("a\0b:1", "*:*"),
        ("token:" + "x" * 60, "token:*"),
        (":1:views.cache.cache_page.en-us.UTC", ":*:views.cache.cache_page.en-us.UTC"),
    ],
)
def test_keys(key: str, shape: str) -> None:
    assert key_shape(key) == shape


@pytest.mark.parametrize(
    ("subject", "shape"),
    [
        ("visits.7f3a.created", "visits.*.created"),
        ("visits.*.>", "visits.*.>"),
        ("$JS.API.CONSUMER.MSG.NEXT.VISITS.worker",) * 2,
        ("$JS.ACK.VISITS.worker.1.2.3.1763.0", "$JS.ACK.VISITS.worker.*.*.*.*.*"),
        ("_INBOX.4WM3qlybokB8y9T0eA1CVv.Sfd0a1", "_INBOX.*.*"),
    ],
)
def test_subjects(subject: str, shape: str) -> None:
    assert subject_shape(subject) == shape


@pytest.mark.parametrize(
    ("target", "shape"),
    [
        ("/users/17/posts?q=x", "/users/{}/posts"),
        ("/", "/"),
        ("/rest/v3/short-urls", "/rest/v3/short-urls"),
        ("/aB3xY", "/{}"),
        ("/a%20b/c", "/{}/c"),
        ("/index.html", "/index.html"),
        ("/static/app.3f2a1b.js", "/static/app.{}.js"),
        ("/users/ada@example.org/", "/users/{}/"),
        ("http://example.org:80/users/1?x", "/users/{}"),
        ("http://example.org", "/"),
        ("*", "*"),
        ("example.org:443", "example.org:443"),
        ("/" + "a/" * 100, "/" + "a/" * 31 + "{}"),
        ("/files/" + "ab." * 30_000, "/files/{}"),
    ],
)
def test_paths(target: str, shape: str) -> None:
    assert path_shape(target) == shape


@given(st.text(max_size=80))
def test_a_shape_of_a_shape_is_itself_and_no_digits_of_a_number_are_left(text: str) -> None:
    for shape in (key_shape(text), subject_shape(text)):
        assert len(shape) <= len(text)
    assert key_shape(f"a:{abs(hash(text))}") == "a:*"
    assert key_shape(key_shape(text)) == key_shape(text)


@given(st.integers(0, 2**62), st.uuids())
def test_numbers_and_uuids_are_values_everywhere(number: int, uuid: object) -> None:
    for value in (str(number), str(uuid)):
        assert key_shape(f"user:{value}:x") == "user:*:x"
        assert subject_shape(f"user.{value}.x") == "user.*.x"
        assert path_shape(f"/user/{value}/x") == "/user/{}/x"


def words(count: int) -> list[str]:
    """Words that look like names."""
    letters = "abcdefgh"
    return [letters[n % 8] + letters[n // 8 % 8] + letters[n // 64 % 8] + "x" for n in range(count)]


def settled(texts: list[str]) -> list[str]:
    shapes = ShapeSet(key_shape, ":", "*")
    return [shapes.settle(shape) for shape in [shapes.add(text) for text in texts]]


def test_a_position_that_takes_many_words_holds_values() -> None:
    texts = [f"link:{word}:visits" for word in words(MANY + 1)]
    assert set(settled(texts)) == {"link:*:visits"}
    assert set(settled(texts[:-1])) == set(texts[:-1])


def test_names_behind_values_stay() -> None:
    texts = [f"user:{word}:{field}" for word in words(100) for field in ("cart", "name")]
    assert set(settled([*texts, "user:17:cart", "config:theme"])) == {
        "user:*:cart",
        "user:*:name",
        "config:theme",
    }


def test_a_name_that_was_told_before_they_were_many_is_settled_too() -> None:
    shapes = ShapeSet(path_shape, "/", "{}")
    first = shapes.add("/abcd/edit?x=1")
    assert first == "/abcd/edit"
    for word in words(MANY):
        shapes.add(f"/{word}/edit")
    assert shapes.settle(first) == "/{}/edit"
    assert shapes.settle("/never/added/before") == "/{}/added/before"


@given(st.randoms(use_true_random=False), st.integers(1, 60), st.integers(1, 60))
def test_what_is_settled_does_not_depend_on_the_order(
    shuffle: random.Random, left: int, right: int
) -> None:
    texts = [f"{a}:{b}" for a in words(left)[-40:] for b in (*words(right)[-3:], a, "17")]
    other = texts.copy()
    shuffle.shuffle(other)
    assert set(settled(texts)) == set(settled(other))


def test_what_it_remembers_is_bounded() -> None:
    shapes = ShapeSet(key_shape, ":", "*")
    names = words(12)
    for a in names:
        for b in names:
            for c in names:
                for d in names:
                    shapes.add(f"{a}:{b}:{c}:{d}")
    assert shapes.places <= PLACES_MAX
    last = names[-1]
    assert "*" in shapes.settle(f"{last}:{last}:{last}:{last}")
