"""The page: what it shows, and that nothing from outside gets into it as markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from loadpath.answer import Answer, Check, Line, State
from loadpath.report.page import render_page

PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg"><title id="t">load &lt; knee</title>'
    '<desc id="d">misses "p99"</desc></svg>'
)


def answer(question: str = "bottleneck", state: State = State.CONFIRMED, **told: str) -> Answer:
    return Answer(
        question=question,
        state=state,
        claim=told.get("claim", "the pool is full"),
        lines=(Line(told.get("subject", "the mix"), "misses", "a pool of 3"),),
        figures={},
        validity=(
            Check("quiet machine", True, "quiet"),
            Check("steady state", False, "it drifts", "Hold longer."),
        ),
        objectives_met=True,
    )


class Seen(HTMLParser):
    """Tags in order, whether they nest, and every attribute."""

    VOID = frozenset({"meta", "img", "br", "!doctype"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_says_what_the_terminal_says_and_shows_the_pictures() -> None:
    page = render_page(
        [answer(), answer("crash", State.INCONCLUSIVE)],
        title="shop · 2 operations · 2 cores",
        recording=".loadpath/runs/now",
        pictures={"bottleneck": [PICTURE]},
        next_command='loadpath what-if "pool=6"',
    )
    seen = Seen(page)
    for said in ("shop", "2 operations · 2 cores", "✓ confirmed", "? inconclusive", "a pool of 3"):
        assert said in seen.text
    for said in ("1 of 2 checks held", "Hold longer.", 'what-if "pool=6"', ".loadpath/runs/now"):
        assert said in seen.text
    assert seen.tags.count("section") == 2
    assert seen.tags.count("img") == 1
    assert ("alt", 'load < knee: misses "p99"') in seen.attributes
    # A heading for each question, and links that lead to them.
    targets = {value for name, value in seen.attributes if name == "id"}
    links = [value for name, value in seen.attributes if name == "href"]
    assert [link.removeprefix("#") in targets for link in links] == [True, True]


def test_it_loads_nothing_and_runs_nothing() -> None:
    page = render_page(
        [answer()], title="shop", recording="here", pictures={"bottleneck": [PICTURE]}
    )
    seen = Seen(page)
    assert not {"script", "link", "iframe"} & set(seen.tags)
    sources = [value for name, value in seen.attributes if name in ("src", "href")]
    assert [source.startswith("data:image/svg+xml;base64,") for source in sources] == [True]
    assert any("default-src 'none'" in value for _, value in seen.attributes)


@pytest.mark.parametrize(
    "told", ["<script>alert(1)</script>", '"><img src=x onerror=1>', "\x1b[2J"]
)
def test_what_came_from_outside_is_text(told: str) -> None:
    page = render_page(
        [answer(claim=told, subject=told)], title=told, recording=told, next_command=told
    )
    seen = Seen(page)
    assert not {"script", "img"} & set(seen.tags)
    assert "\x1b" not in page
