"""The change language: every form is read, and what is wrong is pointed at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from loadpath.changes import ChangeError, Known, parse, parse_all
from loadpath.changes.cache import Cache
from loadpath.changes.calls import FewerCalls
from loadpath.changes.cores import Cores
from loadpath.changes.elsewhere import Elsewhere
from loadpath.changes.faster import Faster
from loadpath.changes.knobs import KnobValue
from loadpath.changes.mix import Mix
from loadpath.changes.queue import Queue
from loadpath.changes.registry import FORMS
from loadpath.changes.slower import Slower
from loadpath.changes.split import Split
from loadpath.changes.users import Users
from loadpath.changes.words import Words
from loadpath.changes.workers import Workers

FORMS_READ = [
    ("users x2", Users(2.0)),
    ("users ×1.5", Users(1.5)),
    ("users  x  3", Users(3.0)),
    ("mix GET /books=30%", Mix("GET /books", 0.3)),
    ("mix GET /{code} = 5.5%", Mix("GET /{code}", 0.055)),
    ("workers=4", Workers(4, before=2)),
    ("cores=1", Cores(1, host_cores=4)),
    ("pool=20", KnobValue("pool", "20", "10", "database", workers=2)),
    ("mode=slow", KnobValue("mode", "slow", "fast", workers=2)),
    ("database +5ms", Slower("database", 0.005)),
    ("cache +300us", Slower("cache", 0.0003)),
    ("database elsewhere +0.3ms", Elsewhere("database", 0.0003)),
    ("cache GET /{code} 30s hits 90%", Cache("GET /{code}", 30.0, 0.9, given=True)),
    ("split GET /books", Split("GET /books")),
    ("queue POST /books", Queue("POST /books", ("database", "cache"))),
    ("queue POST /books database", Queue("POST /books", ("database",))),
    ("calls GET /books database 20->1", FewerCalls("GET /books", "database", 20, 1)),
    ("calls GET /books database 20 -> 0", FewerCalls("GET /books", "database", 20, 0)),
    ("code 20% faster", Faster(0.2)),
    ("code 20% faster in GET /books", Faster(0.2, "GET /books")),
]


@pytest.mark.parametrize(("text", "change"), FORMS_READ)
def test_a_form_is_read(known: Known, text: str, change: object) -> None:
    assert parse(text, known) == change


@pytest.mark.parametrize("text", [text for text, _ in FORMS_READ])
def test_a_title_is_itself_a_change_that_says_the_same(known: Known, text: str) -> None:
    change = parse(text, known)
    again = parse(change.title, known)
    assert again.title == change.title
    assert again == change


def test_every_form_is_read_by_one_of_these(known: Known) -> None:
    claimed = [
        next(form.usage for form in FORMS if form.claims(Words(text), known))
        for text, _ in FORMS_READ
    ]
    assert set(claimed) == {form.usage for form in FORMS}


WRONG = [
    # (what was written, the column pointed at, how far, what is said)
    ("", 0, 1, "there is nothing in it"),
    ("usres x2", 0, 5, "begins no change; did you mean `users`?"),
    ("users", 5, 1, "expected how many times as many, such as `x2`"),
    ("users 2", 6, 1, "such as `x2`"),
    ("users x0", 7, 1, "a number above 0"),
    ("users x2 now", 9, 3, "expected nothing more"),
    ("databse +5ms", 0, 7, "did you mean `database`?"),
    ("database", 8, 1, "such as `+5ms` or `elsewhere +0.3ms`"),
    ("database +5", 10, 1, "a duration such as `5ms`"),
    ("database elsewhere 3ms", 19, 3, "expected `+`"),
    ("mix GET /bokos=30%", 4, 10, "`GET /bokos` is no operation; did you mean `GET /books`?"),
    ("mix GET /books=130%", 15, 4, "a share such as `30%`"),
    ("mix GET /books 30%", 15, 3, "expected `=`"),
    ("workers=0", 8, 1, "a whole number above 0"),
    ("workers=two", 8, 3, "a whole number above 0"),
    ("workers", 7, 1, "expected a value, as in `workers=…`"),
    ("poool=5", 0, 5, "`poool` is no knob of the service; did you mean `pool`?"),
    ("pool=many", 5, 4, "sizes a pool: expected a whole number above 0"),
    ("pool=", 5, 1, "expected a value, and there is nothing more"),
    ("cache GET /{code} soon", 18, 4, "how long a reply is kept"),
    ("cache POST /books 30s", 6, 11, "changes something: its reply cannot be kept"),
    ("cache GET /{code} 30s hit 90%", 22, 3, "expected `hits`"),
    ("split GET /x", 6, 6, "`GET /x` is no operation"),
    ("queue GET /books databas", 17, 7, "did you mean `database`?"),
    ("calls GET /books database 1->20", 30, 1, "fewer calls than before"),
    ("calls GET /books database 20", 28, 1, "expected `->`"),
    ("code 20 faster", 5, 2, "a share such as `20%`"),
    ("code 20% slower", 9, 6, "expected `faster`"),
]


@pytest.mark.parametrize(("text", "column", "length", "says"), WRONG)
def test_what_is_wrong_is_pointed_at(
    known: Known, text: str, *, column: int, length: int, says: str
) -> None:
    with pytest.raises(ChangeError) as caught:
        parse(text, known)
    error = caught.value
    assert says in error.message
    assert f"column {column + 1}" in error.message
    assert error.excerpt == (text, " " * column + "^" * length)


def test_what_begins_no_change_is_answered_with_all_that_do(known: Known) -> None:
    with pytest.raises(ChangeError) as caught:
        parse("more cowbell", known)
    assert all(form.usage in (caught.value.advice or "") for form in FORMS)


def test_a_name_that_is_near_to_none_is_answered_with_all_there_are(known: Known) -> None:
    with pytest.raises(ChangeError, match=r"valid: `GET /books`, `GET /\{code\}`, `POST /books`"):
        parse("split zzzzzz", known)


def test_several_are_read_in_order(known: Known) -> None:
    assert parse_all(["users x2", "pool=5"], known) == (
        Users(2.0),
        KnobValue("pool", "5", "10", "database", workers=2),
    )


def test_workers_that_the_start_command_does_not_take_are_refused(known: Known) -> None:
    service = replace(known.setup.service, start=("shop", "--port", "{port}"))
    fixed = Known(replace(known.setup, service=service), cores=4)
    with pytest.raises(ChangeError, match=r"no \{workers\}: nothing would change"):
        parse("workers=4", fixed)


class TestHitRatios:
    """Computed where the keys are known; asked for where they are not."""

    def test_of_one_reply_for_all(self, known: Known) -> None:
        # 20 requests a second, kept for a second: of 21 one fills it.
        change = parse("cache GET /books 1s", known)
        assert isinstance(change, Cache)
        assert change.hit_ratio == pytest.approx(20 / 21)
        assert not change.given

    def test_of_many_keys(self, known: Known) -> None:
        one = parse("cache GET /{code} 1s", known)
        ten = parse("cache GET /{code} 10s", known)
        assert isinstance(one, Cache)
        assert isinstance(ten, Cache)
        assert 0.5 < one.hit_ratio < ten.hit_ratio < 1

    @pytest.mark.parametrize(
        ("path", "why"),
        [("/{code}/{unique}", "more than one key"), ("/{code}/{other}", "more than one key")],
    )
    def test_of_keys_that_cannot_be_told(self, known: Known, path: str, why: str) -> None:
        first, *rest = known.setup.workload.operations
        assert first.request is not None
        keys = {"code": "link", "other": "link"}
        request = replace(first.request, path=path, keys=keys)
        operations = (replace(first, request=request), *rest)
        workload = replace(known.setup.workload, operations=operations)
        told = Known(replace(known.setup, workload=workload), cores=4)
        with pytest.raises(ChangeError, match=why):
            parse("cache GET /{code} 1s", told)


def test_the_reference_has_every_form_and_no_other() -> None:
    page = Path(__file__).parents[3] / "docs/reference/changes.md"
    written = re.findall(r"^\| `([^`]+)` \|", page.read_text("utf-8"), re.MULTILINE)
    assert sorted(written) == sorted(form.usage for form in FORMS)
