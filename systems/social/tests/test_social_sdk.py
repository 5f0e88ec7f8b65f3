"""masto, the client for JavaScript, drives the running service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from social.testing import Social
from systems_common.testing.node import printed_by
from systems_common.testing.pictures import photo

CALLS = Path(__file__).parent / "sdk" / "calls.mjs"


@pytest.fixture(scope="module")
def results(social: Social, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the clients of calls.mjs came to know."""
    picture = tmp_path_factory.mktemp("sdk") / "picture.jpg"
    picture.write_bytes(photo(300, 200))
    known: dict[str, Any] = printed_by(CALLS, social.process.url, str(picture))
    return known


def test_somebody_registers_and_says_who_they_are(results: dict[str, Any]) -> None:
    assert results["instance"] == ["social.example", 4]
    status, message, details = results["tooShort"]
    assert (status, list(details)) == (422, ["password"])
    assert message.startswith("Validation failed: Password")
    assert results["names"] == ["masto_ann", "masto_bob"]
    assert results["found"] is True
    assert results["profile"] == ["Ann", "Hello", "Pronouns", True]
    assert (results["follows"], results["followedBy"]) == ([True, True], True)


def test_a_picture_is_posted_and_reaches_the_home(results: dict[str, Any]) -> None:
    kind, description, original, focus = results["media"]
    assert (kind, description) == ("image", "A slope of colors")
    assert (original["width"], original["height"], focus) == (300, 200, {"x": 0.5, "y": -0.5})
    assert results["post"] == [True, "masto", "masto", True]
    assert results["home"] == [True]


def test_a_status_is_answered_and_marked(results: dict[str, Any]) -> None:
    assert results["context"] == [True]
    assert results["marked"] == [True, True, True]
    assert results["counts"] == [1, 1, 1]
    assert results["lists"] == [[True], [True], ["masto_bob"], ["masto_bob"]]
    assert results["unmarked"] == [False, False, False]


def test_notifications_come_are_read_and_go(results: dict[str, Any]) -> None:
    assert results["told"] == [
        ["reblog", "masto_bob", True],
        ["favourite", "masto_bob", True],
        ["mention", "masto_bob", False],
        ["follow", "masto_bob", False],
    ]
    assert results["mentions"] == [True]
    assert (results["unread"], results["marker"], results["read"]) == (4, True, 0)
    assert results["cleared"] == []


def test_lists_search_and_pages(results: dict[str, Any]) -> None:
    assert results["list"] == [["Friends"], ["masto_ann"], [True], "Close friends"]
    assert results["leftInList"] == []
    assert results["search"] == [[True], 2, ["masto"]]
    assert results["tagged"] == 1
    numbers = [f"<p>number {n}</p>" for n in range(4, -1, -1)]
    assert [len(page) for page in results["pages"][:2]] == [4, 2]
    assert [one for page in results["pages"] for one in page][:5] == numbers


def test_filters_name_what_they_match(results: dict[str, Any]) -> None:
    assert results["filter"] == ["Animals", [["Animals", ["quokka"]]]]
    assert results["keywords"] == ["quokka", "wombat"]
    assert (results["filteredStatus"], results["filters"]) == (True, [])


def test_streams_tell_what_happens(results: dict[str, Any]) -> None:
    assert results["update"] == [["user"], "masto_ann"]
    assert results["notification"] == ["mention", "masto_bob"]
    assert results["hashtag"] == [["hashtag", "wombats"], "wombats"]
    assert results["conversation"] == ["masto_bob"]
    assert (results["edited"], results["history"]) == ([True, 1], True)


def test_what_is_not_allowed_is_refused(results: dict[str, Any]) -> None:
    assert results["notMine"][0] == 404
    assert results["gone"] == [404, "Record not found", None]
    assert results["unfollowed"] is False
    assert results["revoked"] == [401, "The access token is invalid", None]
