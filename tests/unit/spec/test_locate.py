"""The line of every key, in all the ways TOML can write one."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.spec.locate import KeyPath, key_lines, split_key

DOCUMENT = '''\
# a comment with [brackets] and = signs
title = "a # b"            # "not a string
"quoted key" = 1
'literal "key"' = 2
a.b."c d" = 3
a . e = 4

[service]                  # 8
start = """
[not.a.table]
x = 1 "quoted" \\"""
"""
ready = \'\'\'
still = 'one' ''\'\'\'
last = """ends in two quotes"""""
[dependencies.db]          # 16
env = { URL = "x}y", "B C" = '{' }
list = [ # a comment ]
  1, "two]", [3,
  4],
  { k = 5 },
]
[[rules]]                  # 23
name = "a"
[rules.match]
x = 1
[[rules]]
name = "b"
[[rules.also]]
y = 2
[operations."GET /{code}"] # 31
weight = 90
when = 2026-01-01T00:00:00Z # a date
"uni\\u00e9\\"\\\\" = true
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("quoted key",), 3),
        (('literal "key"',), 4),
        (("a",), 5),
        (("a", "b", "c d"), 5),
        (("a", "e"), 6),
        (("service",), 8),
        (("service", "start"), 9),
        (("service", "ready"), 13),
        (("service", "last"), 15),
        (("dependencies",), 16),
        (("dependencies", "db", "env", "URL"), 17),
        (("dependencies", "db", "env", "B C"), 17),
        (("dependencies", "db", "list", 0), 19),
        (("dependencies", "db", "list", 1), 19),
        (("dependencies", "db", "list", 2, 1), 20),
        (("dependencies", "db", "list", 3, "k"), 21),
        (("rules", 0, "name"), 24),
        (("rules", 0, "match", "x"), 26),
        (("rules", 1), 27),
        (("rules", 1, "name"), 28),
        (("rules", 1, "also", 0, "y"), 30),
        (("operations", "GET /{code}"), 31),
        (("operations", "GET /{code}", "when"), 33),
        (("operations", "GET /{code}", 'unié"\\'), 34),
    ],
)
def test_every_form_of_key_is_found_on_its_line(path: KeyPath, line: int) -> None:
    tomllib.loads(DOCUMENT)  # the document of this test is itself TOML
    assert key_lines(DOCUMENT)[path] == line


def test_windows_line_ends_count_once() -> None:
    assert key_lines('a = 1\r\nb = """x\r\ny"""\r\nc = 2\r\n')[("c",)] == 4


def paths(value: object, path: KeyPath = ()) -> list[KeyPath]:
    """The path of every key of a parsed document, and of every element of its arrays."""
    found: list[KeyPath] = [path] if path else []
    if isinstance(value, dict):
        for name, inner in value.items():
            found += paths(inner, (*path, name))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            found += paths(inner, (*path, index))
    return found


names = st.text(st.sampled_from("ab-_1 .\"'\\[]{}=#é"), max_size=4)
leaves = st.one_of(
    st.integers(-9, 9), st.booleans(), st.text(st.sampled_from("a\"'\\[]{}=#,\n\té"), max_size=6)
)
values = st.recursive(
    leaves,
    lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(names, v, max_size=3)),
    max_leaves=8,
)
documents = st.dictionaries(names, values, max_size=4)


def basic(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{basic(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[ # ]\n" + "".join(f"{inline(v)} , # [\n" for v in value) + "]"
    if isinstance(value, str) and "'" not in value and "\n" in value and "\r" not in value:
        return f"'''\n{value}'''"
    return basic(value) if isinstance(value, str) else str(value).lower()


def written(document: dict[str, Any], table: str = "") -> str:
    """The document as TOML: tables as headers where they can be, everything else in line."""
    text = "".join(
        f"{basic(k)} = {inline(v)} # end\n" for k, v in document.items() if not isinstance(v, dict)
    )
    for name, inner in document.items():
        if isinstance(inner, dict):
            header = f"{table}{basic(name)}"
            text += f"\n[ {header} ]\n{written(inner, header + ' . ')}"
    return text


@given(documents)
def test_every_key_of_any_document_is_found_where_its_name_stands(
    document: dict[str, Any],
) -> None:
    text = written(document)
    assert tomllib.loads(text) == document  # the writer of this test is right
    found = key_lines(text)
    lines = text.split("\n")
    for path in paths(document):
        assert path in found
        if isinstance(path[-1], str):
            assert basic(path[-1]) in lines[found[path] - 1]


@pytest.mark.parametrize(
    ("text", "names", "rest"),
    [
        ("service.workers=2", ("service", "workers"), "=2"),
        ('operations."GET /{a.b}=".weight = 1', ("operations", "GET /{a.b}=", "weight"), "= 1"),
        ("'a b'.c", ("a b", "c"), ""),
    ],
)
def test_a_dotted_key_is_split_as_toml_does(text: str, names: tuple[str, ...], rest: str) -> None:
    assert split_key(text) == (names, rest)


def test_what_is_no_key_is_refused() -> None:
    with pytest.raises(ValueError, match="a key was expected"):
        split_key("=2")
