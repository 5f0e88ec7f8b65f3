"""PostgreSQL's wire, read: bounds, whatever a client may say, and garbage."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from postgres_language import (
    BOUND,
    COLUMNS,
    COPY_DONE,
    COPY_IN,
    FLUSH,
    LOGIN,
    NO_DATA,
    NOTICE,
    PARAMETERS,
    PARSED,
    ROW,
    STATUS,
    SYNC,
    Piece,
    bind,
    close,
    describe,
    done,
    error,
    execute,
    fed,
    fields,
    notification,
    parse,
    query,
    ready,
    timed,
    words,
)

from loadpath.wire import Exchange

# ---- a small model of a client and a server


class Model:
    """Draws what a client asks and a server answers, and knows the exchanges that this makes."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.state = "none"
        self.asked: list[bytes] = []
        self.answered: list[bytes] = []
        self.expected: list[str] = []
        self.prepared: dict[str, str] = {}

    def statement(self) -> tuple[str, str, int | None]:
        """Text, tag and rows of a statement that succeeds."""
        if self.state == "failed":
            return "ROLLBACK", "ROLLBACK", None
        if self.draw(st.booleans()):
            rows = self.draw(st.integers(0, 3))
            return f"SELECT {rows}", f"SELECT {rows}", rows
        return ("COMMIT", "COMMIT", None) if self.state == "open" else ("BEGIN", "BEGIN", None)

    def ran(self, tag: str) -> None:
        self.state = {"BEGIN": "open", "COMMIT": "none", "ROLLBACK": "none"}.get(tag, self.state)

    def failed(self) -> None:
        self.state = "none" if self.state == "none" else "failed"

    def expect(self, verb: str, sql: str, rows: int | None, error: str = "") -> None:
        exchange = Exchange(verb, sql, 0.0)
        exchange.rows, exchange.error = rows, error or None
        exchange.transaction = self.state  # type: ignore[assignment]
        self.expected.append(words(exchange))

    def ready(self) -> None:
        self.answered.append(ready({"none": "I", "open": "T", "failed": "E"}[self.state]))

    def between(self) -> None:
        """What may come at any time."""
        if self.draw(st.booleans()):
            return
        came = self.draw(st.sampled_from([NOTICE, STATUS, notification("n", "p")]))
        self.answered.append(came)
        if came[:1] == b"A":
            self.expected.append(" ".join(["notify 'n'", *self.state_words(), "pushed"]))

    def state_words(self) -> list[str]:
        return [] if self.state == "none" else [self.state]

    def simple(self) -> None:
        texts: list[str] = []
        fails_at = self.draw(st.sampled_from([0, 1, 9, 9, 9]))
        for n in range(self.draw(st.integers(1, 3))):
            sql, tag, rows = self.statement()
            texts.append(sql)
            if n == fails_at:
                self.failed()
                self.expect("query", sql, None, "22012")
                self.answered.append(error("22012"))
                break
            self.ran(tag)
            self.answered += [COLUMNS, *[ROW] * rows] if rows is not None else []
            self.answered.append(done(tag))
            self.expect("query", sql, rows)
        self.asked.append(query("; ".join(texts) + (" ;" if len(texts) > 1 else "")))
        self.ready()

    def pipeline(self) -> None:
        skipped: list[str] = []
        failed = False
        for n in range(self.draw(st.integers(1, 4))):
            sql, tag, rows = self.statement()
            name = self.draw(st.sampled_from(["", f"s{len(self.prepared)}{n}"]))
            self.asked.append(parse(sql, name))
            steps = [("P", PARSED)]
            if self.draw(st.booleans()):
                self.asked.append(describe("S", name))
                steps.append(("d", PARAMETERS + (COLUMNS if rows is not None else NO_DATA)))
            self.asked.append(bind(*"ab"[: n % 3], statement=name))
            steps.append(("B", BOUND))
            if self.draw(st.booleans()):
                self.asked.append(describe())
                steps.append(("D", COLUMNS if rows is not None else NO_DATA))
            self.asked.append(execute())
            steps.append(("E", b"".join([ROW] * (rows or 0)) + done(tag)))
            if failed:
                skipped.append(sql)
                continue
            fails_at = self.draw(st.integers(0, 12))
            for at, (_, reply) in enumerate(steps):
                if at == fails_at:
                    failed = True
                    self.answered.append(error("40001"))
                    self.failed()
                    self.expect("execute", sql, None, "40001")
                    break
                self.answered.append(reply)
            else:
                self.ran(tag)
                self.expect("execute", sql, rows)
        for sql in skipped:
            self.expect("execute", sql, None, "skipped")
        self.asked.append(SYNC)
        self.ready()

    def prepare(self) -> None:
        sql, _, rows = self.statement()
        name = f"p{len(self.prepared)}"
        self.prepared[name] = sql
        self.asked += [parse(sql, name), describe("S", name), SYNC]
        self.answered += [PARSED, PARAMETERS, COLUMNS if rows is not None else NO_DATA]
        self.expect("prepare", sql, None)
        self.ready()


@st.composite
def dialogs(draw: st.DrawFn) -> tuple[list[Piece], list[str]]:
    model = Model(draw)
    pieces = timed(LOGIN)
    for _ in range(draw(st.integers(1, 5))):
        # Some requests are sent before the first of them is answered.
        for _ in range(draw(st.integers(1, 3))):
            draw(st.sampled_from([model.simple, model.pipeline, model.prepare]))()
        model.between()
        for who, said in (("C", model.asked), ("S", model.answered)):
            data = b"".join(said)
            size = draw(st.integers(1, 200))
            pieces += [(who, data[i : i + size], 9.0) for i in range(0, len(data), size)]
            said.clear()
    return pieces, ["startup 'shop'", *model.expected]


@given(dialogs())
def test_whatever_a_client_asks_the_exchanges_are_those_it_had(
    dialog: tuple[list[Piece], list[str]],
) -> None:
    pieces, expected = dialog
    conversation = fed(pieces)
    assert conversation.unread is None
    assert [words(e) for e in conversation.finished] == expected


KINDS = st.sampled_from([bytes([n]) for n in range(256)])
SCRAPS = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda kind, body: kind + struct.pack(">I", len(body) + 4) + body,
        KINDS | st.sampled_from([bytes([n]) for n in b"QPBDECSHFdcfpX123nTtCIZERKvNAsGWV"]),
        st.binary(max_size=30),
    ),
    st.sampled_from([query("SELECT 1"), parse("SELECT 1"), bind(), execute(), SYNC, FLUSH]),
    st.sampled_from([describe(), describe("S"), close(), COPY_DONE, PARSED, BOUND, ROW, COLUMNS]),
    st.sampled_from([done("SELECT 1"), ready(), ready("T"), error("22012"), NO_DATA, COPY_IN]),
)


@given(st.lists(st.tuples(st.sampled_from("CS"), SCRAPS), max_size=30), st.booleans())
def test_nothing_that_crosses_a_wire_raises(said: list[tuple[str, bytes]], login: bool) -> None:
    pieces = timed((*(LOGIN if login else ()), *said))
    whole = fed([p for p in pieces if p[1]])
    bytewise = [(w, data[i : i + 1], at) for w, data, at in pieces for i in range(len(data))]
    cut = fed(bytewise)
    assert [fields(e) for e in cut.finished] == [fields(e) for e in whole.finished]
    assert cut.unread == whole.unread
