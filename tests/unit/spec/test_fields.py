"""Fields in a text: keys, words that fill themselves, and braces that are text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.spec.fields import FieldError, Fill, KeyField, split_fields, written


def test_a_text_is_cut_at_its_fields() -> None:
    assert split_fields("/{id}/{n}-{now:ms}{random:-1..9}{x}{ n }", {"id"}) == [
        "/",
        KeyField("id"),
        "/",
        Fill("n"),
        "-",
        Fill("now:ms"),
        Fill("random", -1, 9),
        "{x}{ n }",
    ]
    assert split_fields("{n}", {"n"}) == [KeyField("n")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a {random}", "expected a range of whole numbers such as {random:1..100}"),
        ("a {random:5..1}", "{random:5..1}: expected a range"),
        ("a {random:1.5..2}", "expected a range"),
        ("a {now:is}", "expected {now}, {now:ms}, {now:iso}"),
        ("a {n:3}", "{n:3}: expected {n}"),
    ],
)
def test_a_word_with_a_wrong_option_says_what_is_right(text: str, words: str) -> None:
    with pytest.raises(FieldError) as caught:
        split_fields(text, ())
    assert words in caught.value.message
    assert caught.value.at == 2


@given(st.text("{}nx 1", max_size=30))
def test_the_parts_are_the_text(text: str) -> None:
    parts = split_fields(text, {"x"})
    assert "".join(part if isinstance(part, str) else written(part) for part in parts) == text
