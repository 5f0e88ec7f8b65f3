"""What RFC 9111 says of answers, case by case, and what is found wrong with their headers."""

from __future__ import annotations

import pytest

from loadpath.caching.directives import LONGEST_S, read_directives
from loadpath.caching.headers import Evidence, findings
from loadpath.caching.rfc9111 import Exchange, Headers, http_date_s, policy_of

DATE = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
HOUR_LATER = ("Expires", "Sun, 06 Nov 1994 09:49:37 GMT")
DAY_BEFORE = ("Last-Modified", "Sat, 05 Nov 1994 08:49:37 GMT")
ETAG = ("ETag", '"a"')
TOKEN = (("Authorization", "Bearer x"),)


def control(*values: str) -> Headers:
    return tuple(("Cache-Control", value) for value in values)


def answer(
    *headers: tuple[str, str], status: int = 200, method: str = "GET", asked: Headers = ()
) -> Exchange:
    return Exchange(method=method, status=status, headers=headers, request_headers=asked)


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ],
)
def test_dates_come_in_three_forms(text: str) -> None:
    assert http_date_s(text) == 784111777


@pytest.mark.parametrize("text", ["0", "-1", "", "tomorrow"])
def test_what_is_no_date_is_none(text: str) -> None:
    assert http_date_s(text) is None


@pytest.mark.parametrize(
    ("exchange", "why_not"),
    [
        (answer(), ""),
        (answer(*control("max-age=60")), ""),
        (answer(*control("no-store")), "5.2.2.5"),
        (answer(*control("NO-STORE, max-age=3")), "5.2.2.5"),
        (answer(*control("no-store, must-understand, max-age=3")), ""),
        (answer(*control("private")), "5.2.2.7"),
        (answer(*control('private="x-name", max-age=3')), ""),
        (answer(*control("max-age=60"), method="POST"), "POST"),
        (answer(*control("max-age=60"), method="HEAD"), ""),
        (answer(*control("max-age=60"), status=206), "3.3"),
        (answer(status=302), "302 is stored only"),
        (answer(*control("max-age=60"), status=302), ""),
        (answer(DATE, HOUR_LATER, status=302), ""),
        (answer(status=301), ""),
        (answer(status=404), ""),
        (answer(status=500), "500 is stored only"),
        (answer(*control("public"), status=500), ""),
        (answer(status=100), "final"),
        (answer(*control("max-age=60"), asked=TOKEN), "3.5"),
        (answer(*control("max-age=60, must-revalidate"), asked=TOKEN), ""),
        (answer(*control("max-age=60, public"), asked=TOKEN), ""),
        (answer(*control("s-maxage=60"), asked=TOKEN), ""),
        (answer(asked=control("no-store")), "5.2.1.5"),
        (answer(*control("no-cache")), ""),  # stored, and validated before every use
        (answer(("Set-Cookie", "a=b"), *control("max-age=9")), ""),  # 7.3
    ],
)
def test_whether_a_shared_cache_may_store_it(exchange: Exchange, why_not: str) -> None:
    policy = policy_of(exchange)
    assert policy.storable == (not why_not)
    assert why_not in policy.why_not


@pytest.mark.parametrize(
    ("headers", "lifetime_s", "source"),
    [
        (control("max-age=60"), 60, "max-age"),
        (control("max-age=60, s-maxage=5"), 5, "s-maxage"),
        (control("s-maxage=0, max-age=60"), 0, "s-maxage"),
        (control('max-age="60"'), 60, "max-age"),
        (control("max-age=60", "max-age=90"), 60, "max-age"),
        (control("max-age=-1"), 0, "max-age"),
        (control("max-age=1.5"), 0, "max-age"),
        (control("max-age"), 0, "max-age"),
        (control("max-age=99999999999999999999"), LONGEST_S, "max-age"),
        ((DATE, HOUR_LATER), 3600, "Expires"),
        ((DATE, HOUR_LATER, *control("max-age=60")), 60, "max-age"),
        ((DATE, ("Expires", "0")), 0, "Expires"),
        ((HOUR_LATER, ("Date", HOUR_LATER[1])), 0, "Expires"),
        ((HOUR_LATER,), None, "Expires"),
        ((DATE, DAY_BEFORE), 8640, "heuristic"),
        ((DATE,), None, ""),
        ((), None, ""),
    ],
)
def test_how_long_it_is_fresh(headers: Headers, lifetime_s: float | None, source: str) -> None:
    policy = policy_of(answer(*headers))
    assert (policy.lifetime_s, policy.lifetime_from) == (lifetime_s, source)


def test_no_heuristic_for_a_status_that_is_not_stored_by_itself() -> None:
    assert policy_of(answer(DATE, DAY_BEFORE, status=302)).lifetime_s is None
    marked = answer(DATE, DAY_BEFORE, *control("public"), status=302)
    assert policy_of(marked).lifetime_s == 8640


def test_age_on_arrival_is_taken_from_age_and_from_date() -> None:
    aged = answer(DATE, ("Age", "50"), *control("max-age=60"))
    assert policy_of(aged).reusable_s == 10
    late = Exchange(headers=aged.headers, received_s=784111777 + 55)
    assert policy_of(late).age_s == 55
    undated = Exchange(headers=(HOUR_LATER,), received_s=784111777)
    assert policy_of(undated).lifetime_s == 3600


def test_vary_is_read_over_lines_and_a_star_makes_nothing_reusable() -> None:
    split = answer(("Vary", "Accept, COOKIE"), ("vary", "accept"), *control("max-age=60"))
    assert policy_of(split).varies_by == ("accept", "cookie")
    assert policy_of(answer(("Vary", "*"), *control("max-age=60"))).reusable_s == 0
    assert policy_of(answer(*control("no-cache, max-age=60"))).reusable_s == 0


def test_directives_keep_what_they_could_not_read() -> None:
    read = read_directives(['Max-Age = 60; public, private="a, b", "x", foo=bar, foo=baz'])
    assert read.given["private"] == "a, b"
    assert not read.is_whole("private")
    assert read.malformed[0] == "Max-Age = 60; public"
    assert read.repeated == ("foo",)
    assert read_directives([]).given == {}
    assert read_directives(["", ",,", "no-store"]).given == {"no-store": None}


FRESH = (DATE, ETAG, *control("public, max-age=60"))
BY_WHO = Evidence(differs_by_identity=True)


@pytest.mark.parametrize(
    ("headers", "evidence", "code"),
    [
        (FRESH, BY_WHO, "private-shared"),
        ((DATE, ETAG), BY_WHO, "private-unmarked"),
        ((*FRESH, ("Vary", "Accept")), Evidence(differs_by=("Accept-Language",)), "vary-missing"),
        (FRESH, Evidence(differs_by=("cookie",)), "vary-missing"),
        ((*FRESH, ("Set-Cookie", "a=b")), Evidence(), "set-cookie-stored"),
        ((DATE, ETAG, *control("public, private")), Evidence(), "public-and-private"),
        ((DATE, ETAG, *control("private, s-maxage=9")), Evidence(), "private-with-s-maxage"),
        ((DATE, ETAG, *control("no-store, max-age=9")), Evidence(), "no-store-with-lifetime"),
        ((DATE, ETAG, *control("no-cache, max-age=9")), Evidence(), "no-cache-with-lifetime"),
        ((*FRESH, HOUR_LATER), Evidence(), "expires-differs"),
        ((DATE, ETAG, *control("max-age=1h")), Evidence(), "malformed"),
        ((DATE, ETAG, *control("max-age=60; public")), Evidence(), "malformed"),
        ((DATE, ETAG, *control("max-age=60", "max-age=0")), Evidence(), "repeated"),
        ((DATE, ETAG, *control("max-age=60, maxage=60")), Evidence(), "misspelled"),
        (FRESH, Evidence(changes_at_every_read=True), "volatile-stored"),
        ((*FRESH, ("Vary", "*")), Evidence(), "vary-star"),
        ((*FRESH, ("Vary", "User-Agent")), Evidence(), "vary-splits"),
        ((ETAG, *control("max-age=60")), Evidence(), "date-missing"),
        ((DATE, ("Pragma", "no-cache")), Evidence(), "pragma-in-answer"),
        ((DATE, DAY_BEFORE), Evidence(), "lifetime-unsaid"),
        (FRESH, Evidence(answers_304=False), "validator-ignored"),
        ((DATE, *control("max-age=60")), Evidence(), "validator-missing"),
        ((*FRESH, ("Age", "90")), Evidence(), "stale-on-arrival"),
        ((DATE, *control("no-cache")), Evidence(), "no-cache-without-validator"),
    ],
)
def test_mistakes_are_found_and_come_with_a_fix(
    headers: Headers, evidence: Evidence, code: str
) -> None:
    found = {finding.code: finding for finding in findings(answer(*headers), evidence)}
    assert code in found
    assert found[code].fix
    assert found[code].says


@pytest.mark.parametrize(
    ("headers", "evidence"),
    [
        (FRESH, Evidence()),
        (FRESH, Evidence(answers_304=True)),
        ((*FRESH, ("Vary", "Accept-Language")), Evidence(differs_by=("accept-language",))),
        ((DATE, ETAG, *control("private, max-age=60")), BY_WHO),
        ((DATE, *control("no-store")), BY_WHO),
        ((DATE, *control("no-store")), Evidence(changes_at_every_read=True)),
        ((DATE, ETAG, *control("no-cache")), Evidence()),
        ((DATE, ETAG, HOUR_LATER, *control("max-age=3600")), Evidence()),
        ((DATE, ETAG, *control("max-age=60, stale-while-revalidate=30, immutable")), Evidence()),
        ((*FRESH, ("Set-Cookie", "a=b"), *control('no-cache="Set-Cookie"')), Evidence()),
    ],
)
def test_what_is_as_it_should_be_is_not_accused(headers: Headers, evidence: Evidence) -> None:
    assert findings(answer(*headers), evidence) == ()


def test_an_error_that_may_be_stored_and_an_answer_with_authorization_are_pointed_out() -> None:
    codes = [f.code for f in findings(answer(*FRESH, status=500))]
    assert codes == ["error-stored"]
    codes = [f.code for f in findings(answer(*FRESH, asked=TOKEN))]
    assert codes == ["authorized-shared"]
    assert findings(answer(DATE, ETAG, *control("max-age=60"), asked=TOKEN)) == ()


def test_the_gravest_comes_first() -> None:
    headers = (("ETag", "x"), *control("public, max-age=60, maxage=3"))
    assert findings(answer(*headers), BY_WHO)[0].code == "private-shared"
