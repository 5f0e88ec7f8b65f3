"""Rows of exchanges: packed as they come, read back as they were, without their values."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.recording.schema import EXCHANGES, SHAPES
from loadpath.recording.tables import read_table
from loadpath.tap import Window
from loadpath.tap import recorder as rec
from loadpath.tap import shapes as shp
from loadpath.tap.readers import READERS
from loadpath.tap.recorder import EXCHANGE, EXCHANGE_FIELDS, Block, Names, Recorder
from loadpath.tap.shapes import Shapes
from loadpath.tap.tables import Meaning, Tables, mixed
from loadpath.wire import Exchange


def exchange(verb: str = "GET", text: str = "user:17", **fields: object) -> Exchange:
    made = Exchange(verb, text, 1.0)
    made.first_byte_s, made.ended_s = 2.0, 3.0
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_the_packed_row_is_what_numpy_reads() -> None:
    assert np.dtype(list(EXCHANGE_FIELDS)).itemsize == EXCHANGE.size


def test_what_was_taken_comes_back_row_for_row(tmp_path: Path) -> None:
    full: list[Block] = []
    recorder = Recorder(full.append)
    taken = [
        exchange(),
        exchange("SELECT", "SELECT * FROM t WHERE id = 5", rows=3, transaction="open"),
        exchange("GET", "/users/17?q=1", status=503, error="503", reply_bytes=1 << 40),
        exchange("MSG", "a.b", pushed=True),
        exchange(ended=False, parameters=-1, transaction="failed"),
    ]
    taps = (1, 0, 2, 3, 1)
    recorder.take(0, 1, [exchange("before")])
    recorder.begin()
    for tap, each in zip(taps, taken, strict=True):
        recorder.take(tap, 40 + tap, [each])
    block = recorder.end()
    assert block is not None
    recorder.take(0, 1, [exchange("after")])
    assert (full, recorder.exchange_count) == ([], 5)

    kinds = ("postgres", "valkey", "http", "nats")
    meaning = Meaning(
        taps=kinds,
        shapings=tuple(READERS[kind].shaping() for kind in kinds),
        verbs=tuple(recorder.verbs.words),
        errors=tuple(recorder.errors.words),
    )
    tables = Tables()
    window = Window(7, tmp_path / "exchanges", tmp_path / "connections", tmp_path / "shapes")
    tables.begin(window)
    tables.add(block, meaning, last=True)
    tables.end(meaning)
    tables.close()
    rows = {n: c.tolist() for n, c in read_table(window.exchanges, EXCHANGES).items()}
    shapes = read_table(window.shapes, SHAPES)
    texts = dict(zip(shapes["shape"].tolist(), shapes["text"], strict=True))
    assert rows["tap"] == [kinds[tap] for tap in taps]
    assert rows["connection"] == [41, 40, 42, 43, 41]
    assert rows["verb"] == ["GET", "SELECT", "GET", "MSG", "GET"]
    assert [texts[shape] for shape in rows["shape"]] == [
        "user:*",
        "SELECT * FROM t WHERE id = $1",
        "/users/{}",
        "a.b",
        "user:*",
    ]
    assert [math.isnan(r) or r for r in rows["rows"]] == [True, 3, True, True, True]
    assert rows["status"] == [0, 0, 503, 0, 0]
    assert rows["error"] == ["", "", "503", "", ""]
    assert rows["transaction"] == ["none", "open", "none", "none", "failed"]
    assert rows["pushed"] == [False, False, False, True, False]
    assert rows["ended"] == [True, True, True, True, False]
    assert rows["reply_bytes"][2] == 1 << 40
    assert (set(rows["began_s"]), set(rows["ended_s"])) == ({1.0}, {3.0})
    assert rows["parameters"][0] != rows["parameters"][4]


@pytest.mark.parametrize(
    ("bound", "value", "texts"),
    [
        ("TEXTS_PER_BLOCK", 10, [f"k{n}" for n in range(35)]),
        ("CHARACTERS_PER_BLOCK", 1000, ["x" * 100 + str(n) for n in range(35)]),
    ],
)
def test_a_block_is_passed_on_before_its_texts_take_much_memory(
    monkeypatch: pytest.MonkeyPatch, bound: str, value: int, texts: list[str]
) -> None:
    monkeypatch.setattr(rec, bound, value)
    full: list[Block] = []
    recorder = Recorder(full.append)
    recorder.begin()
    recorder.take(0, 1, [exchange(text=text) for text in texts])
    last = recorder.end()
    assert last is not None
    assert len(full) == 3
    assert [text for block in (*full, last) for text in block.texts.get(0, {})] == texts
    assert sum(block.used for block in (*full, last)) == 35 * EXCHANGE.size


def test_a_full_block_is_passed_on() -> None:
    full: list[Block] = []
    recorder = Recorder(full.append)
    recorder.begin()
    recorder.take(0, 1, [exchange()] * (rec.ROWS_PER_BLOCK + 3))
    last = recorder.end()
    assert last is not None
    assert [len(full), full[0].used, last.used] == [1, len(full[0].rows), 3 * EXCHANGE.size]


def test_words_past_the_bound_share_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rec, "NAMES_MAX", 4)
    names = Names("")
    numbers = [names.number(word) for word in ("", "a", "b", "c", "a", "d")]
    assert [names.words[number] for number in numbers] == [
        "",
        "a",
        "b",
        rec.OTHER,
        "a",
        rec.OTHER,
    ]


def test_shapes_past_the_bound_share_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shp, "SHAPES_MAX", 2)
    monkeypatch.setattr(shp, "TEXTS_MAX", 2)
    shapes, shaping = Shapes(), READERS["postgres"].shaping()
    numbers = [shapes.number(0, f"SELECT {name}", shaping) for name in "abcab"]
    assert numbers == [1, 2, shp.OTHER_SHAPE, 1, 2]
    assert shapes.number(1, "SELECT a", shaping) == shp.OTHER_SHAPE
    assert shapes.shape(shp.OTHER_SHAPE) == (None, shp.OTHER_TEXT)


def test_names_turn_into_values_once_they_are_many() -> None:
    shapes, shaping = Shapes(), READERS["valkey"].shaping()
    words = ["".join(chr(97 + int(d)) for d in str(n)) for n in range(100, 600)]
    numbers = {shapes.number(0, f"user:{word}:cart", shaping) for word in words}
    settled = {shaping.settle(shapes.shape(number)[1]) for number in numbers}
    assert settled == {"user:*:cart"}
    assert len(numbers) < 50


@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), min_size=2),
)
def test_equal_parameters_of_equal_texts_stay_equal(pairs: list[tuple[int, int]]) -> None:
    parameters, texts = (np.array(column, "u8") for column in zip(*pairs, strict=True))
    once, again = mixed(parameters, texts), mixed(parameters.copy(), texts.copy())
    assert once.tolist() == again.tolist()
    of_one_text = mixed(parameters, np.full(len(pairs), texts[0]))
    distinct = len(set(parameters.tolist()))
    assert len(set(of_one_text.tolist())) == distinct
