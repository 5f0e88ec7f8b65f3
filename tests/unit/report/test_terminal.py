"""Answers as text: what stands where, how wide it is, and what of the outside gets through."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.answer import Answer, Check, Line, State
from loadpath.report.outside import strip_controls
from loadpath.report.terminal import plain, render, trust

HELD = Check("steady state", True, "steady")
QUIET = Check("quiet machine", True, "")
BROKEN = Check(
    "engine on schedule", False, "requests left up to 28 ms late (p99).", "Give it a core."
)
HOSTILE = "\x1b[2J\x1b]0;title\x07a\x00b\x7fc\x9bd\u202ee\nf\rg\th"
"""Clears a screen, sets a title, breaks the line, turns text around."""


def answer(
    *lines: Line,
    state: State = State.CONFIRMED,
    claim: str = "relieving it moved the knee",
    checks: tuple[Check, ...] = (HELD, QUIET),
) -> Answer:
    return Answer(
        question="bottleneck",
        state=state,
        claim=claim,
        lines=lines or (Line("the mix", "misses p99 ≤ 50 ms at 908/s", "the event loop"),),
        figures={},
        validity=checks,
        objectives_met=True,
    )


def shown(*answers: Answer, width: int = 80, title: str = "shop · 2 cores") -> list[str]:
    text = render(answers, title=title, recording=".loadpath/runs/now", width=width)
    assert text.endswith("\n")
    return text.removesuffix("\n").split("\n")


def test_a_whole_report() -> None:
    text = render(
        [
            answer(
                Line(
                    "the mix",
                    "misses p99 ≤ 50 ms at 908/s, 3.0 × today's 300/s",
                    "the one worker's event loop, 94 % of a core",
                ),
                Line("", "a second worker on these 2 cores: better, +31 % measured in 4 rounds"),
                Line("GET /short-urls/{code}/visits", "dearest: 1.5 ms of CPU a request"),
                claim="the one worker's event loop: relieving it moved the knee",
                checks=(HELD, BROKEN),
            )
        ],
        title="shop · 2 operations · PostgreSQL 18.6 · 2 cores · took 0.4 min",
        recording=".loadpath/runs/2026-11-22T09-14-03",
        next_command="loadpath ask bottleneck",
    )
    assert text == (
        "shop · 2 operations · PostgreSQL 18.6 · 2 cores · took 0.4 min\n"
        "\n"
        "BOTTLENECK  the mix              misses p99 ≤ 50 ms at 908/s, 3.0 × today's\n"
        "                                 300/s · the one worker's event loop, 94 % of a\n"
        "                                 core\n"
        "                                 a second worker on these 2 cores: better, +31 %\n"
        "                                 measured in 4 rounds\n"
        "            GET /short-urls/{code}/visits\n"
        "                                 dearest: 1.5 ms of CPU a request\n"
        "                                 ✓ confirmed: the one worker's event loop:\n"
        "                                 relieving it moved the knee\n"
        "\n"
        "Trust       1 of 2 checks held · steady\n"
        "            ! engine on schedule: requests left up to 28 ms late (p99). Give it\n"
        "            a core.\n"
        "Recording   .loadpath/runs/2026-11-22T09-14-03\n"
        "Next        loadpath ask bottleneck\n"
    )


@pytest.mark.parametrize(
    ("state", "mark"),
    [
        (State.CONFIRMED, "✓ confirmed: "),
        (State.REFUTED, "✗ refuted: "),
        (State.INCONCLUSIVE, "? inconclusive: "),
        (State.PREDICTED, "→ predicted: "),
    ],
)
def test_a_state_is_a_symbol_and_a_word_without_any_color(state: State, mark: str) -> None:
    lines = [line.strip() for line in shown(answer(state=state))]
    assert any(line.startswith(mark) for line in lines)
    assert "\x1b" not in "".join(lines)


def test_color_changes_no_text() -> None:
    def colored(text: str, color: str) -> str:
        return f"\x1b[{len(color)}m{text}\x1b[0m"

    answers = [answer(state=state, checks=(HELD, BROKEN)) for state in State]
    bare = render(answers, title="shop", recording="here", next_command="next", style=plain)
    bright = render(answers, title="shop", recording="here", next_command="next", style=colored)
    assert bright != bare
    assert re.sub(r"\x1b\[\d+m", "", bright) == bare


def test_what_is_not_said_leaves_no_line_behind() -> None:
    text = "\n".join(shown(answer()))
    assert "Next" not in text
    assert "!" not in text
    assert " · \n" not in text


class TestWidth:
    LONG = "GET /api/v3/organisations/{organisation}/projects/{project}/members/{member}/keys/{key}"

    @pytest.mark.parametrize("width", [24, 40, 52, 53, 60, 80, 100])
    def test_no_line_is_wider_however_long_the_words(self, width: int) -> None:
        long = Line(self.LONG + "/more" * 20, "misses " * 30 + "x" * 200, "because " * 30)
        check = Check("c" * 150, False, "d " * 100 + "e" * 100, "advice " * 40)
        found = shown(
            answer(long, claim="f" * 300, checks=(check,)), width=width, title="g" * 200 + " h" * 99
        )
        # A path is not broken, for it is copied.
        assert max(len(line) for line in found if ".loadpath/runs/now" not in line) <= width

    def test_where_there_is_no_room_beside_a_subject_it_stands_above(self) -> None:
        found = shown(answer(Line("the mix", "misses it"), Line("", "a second worker")), width=40)
        place = found.index("BOTTLENECK")
        assert found[place + 1 : place + 4] == [
            "  the mix",
            "    misses it",
            "    a second worker",
        ]

    def test_a_long_name_keeps_a_line_of_its_own_and_its_figures_their_column(self) -> None:
        name = self.LONG[:60]
        found = shown(answer(Line("the mix", "meets it"), Line(name, "misses it")))
        place = found.index(" " * 12 + name)
        assert found[place + 1] == " " * 33 + "misses it"
        assert "BOTTLENECK  the mix              meets it" in found

    def test_nothing_of_a_long_name_is_lost(self) -> None:
        text = "".join(line.strip() for line in shown(answer(Line(self.LONG * 2, "misses it"))))
        assert (self.LONG * 2).replace(" ", "") in text.replace(" ", "")

    def test_paths_and_commands_are_not_broken_for_they_are_copied(self) -> None:
        path = "../" + "deep/" * 30 + "run"
        text = render([answer()], title="shop", recording=path, next_command=f"loadpath {path}")
        assert f"Recording   {path}\n" in text
        assert f"Next        loadpath {path}\n" in text


class TestOutside:
    def test_nothing_from_outside_steers_the_terminal(self) -> None:
        check = Check(HOSTILE, False, HOSTILE, HOSTILE)
        hostile = answer(
            Line(HOSTILE, HOSTILE, HOSTILE),
            claim=HOSTILE,
            checks=(check, Check("x", True, HOSTILE)),
        )
        text = render([hostile], title=HOSTILE, recording=HOSTILE, next_command=HOSTILE)
        assert [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf")] == []
        assert "[2J" not in text
        assert "title" not in text

    def test_a_name_cannot_make_up_lines_of_its_own(self) -> None:
        honest = shown(answer(Line("GET /x", "misses it")))
        forged = shown(answer(Line("GET /x\n✓ confirmed", "misses\nTrust  6 of 6")))
        assert [line for line in forged if line.startswith(("✓", "Trust"))] == [
            line for line in honest if line.startswith(("✓", "Trust"))
        ]

    @given(st.text(max_size=300))
    def test_whatever_a_text_holds_it_stays_on_one_line_of_what_can_be_shown(
        self, text: str
    ) -> None:
        clean = strip_controls(text)
        assert len(clean.splitlines()) <= 1
        assert not any(unicodedata.category(c) == "Cc" for c in clean)

    def test_what_broke_a_line_is_a_space(self) -> None:
        assert strip_controls("one\r\ntwo\tthree\u2028four") == "one two three four"

    @pytest.mark.parametrize(
        "text", ["GET /{code}", "p99 ≤ 50 ms · ünïcode 日本", "a [red]b[/red]"]
    )
    def test_ordinary_text_is_left_alone(self, text: str) -> None:
        assert strip_controls(text) == text


class TestTrust:
    def test_it_counts_checks_and_says_what_held(self) -> None:
        assert trust([answer(checks=(HELD, QUIET, BROKEN))]) == "2 of 3 checks held · steady"

    def test_without_checks_nothing_is_claimed(self) -> None:
        assert trust([answer(checks=())]) == "0 of 0 checks held"

    def test_each_check_that_failed_says_what_to_do(self) -> None:
        lines = "\n".join(shown(answer(checks=(BROKEN,))))
        assert "! engine on schedule: requests left up to 28 ms late (p99). Give it" in lines
