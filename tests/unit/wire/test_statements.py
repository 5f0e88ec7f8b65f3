"""Shapes of statements: the same for the same statement, and never a value in them."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadpath.wire.sql_lexer import top_level_statements
from loadpath.wire.statements import CACHED_TEXT_MAX, PARSED_MAX, statement_shape


def shape_text(sql: str) -> str:
    shape = statement_shape(sql)
    assert statement_shape(shape.text) == shape
    return shape.text


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("select  *\nfrom T where A=1 -- why\n", "SELECT * FROM t WHERE a = $1"),
        ("SELECT /* x /* y */ z */ 'it''s', E'it\\'s', $a$ 'x' $a$", "SELECT $1, $2, $3"),
        ("SELECT U&'d\\0061t', X'1F', B'01', 'a'\n'b', $$$$", "SELECT $1, $2, $3, $4, $5"),
        ("SELECT 1, 1.5, .5, 1e-9, 0x1F, 1_000", "SELECT $1, $2, $3, $4, $5, $6"),
        ("SELECT -1, a-1, a - -1, (-1.5)", "SELECT $1, a - $2, a - $3, ($4)"),
        ("SELECT $2::int, $1", "SELECT $1::int, $2"),
        ("SELECT * FROM t WHERE id IN (1, 2, 3)", "SELECT * FROM t WHERE id IN ($1)"),
        ("SELECT * FROM t WHERE id IN ($1::int, $2::int)", "SELECT * FROM t WHERE id IN ($1::int)"),
        ("SELECT (a, b) IN ((1, 2), (3, 4))", "SELECT (a, b) IN (($1, $2))"),
        ("SELECT a IN (SELECT 1)", "SELECT a IN (SELECT $1)"),
        ("SELECT a = ANY(ARRAY[1, 2])", "SELECT a = ANY (ARRAY[$1])"),
        (
            "INSERT INTO t (a, b) VALUES (1, NULL), ('x', true) RETURNING id",
            "INSERT INTO t(a, b) VALUES ($1, $2) RETURNING id",
        ),
        ("INSERT INTO t VALUES (1, now()), (2, $1)", "INSERT INTO t VALUES ($1, now()), ($2, $3)"),
        ("SELECT a IS NULL, b IS NOT TRUE", "SELECT a IS NULL, b IS NOT TRUE"),
        ("SELECT j->>'k', j ? 'k', j #- '{a}'", "SELECT j ->> $1, j ? $2, j #- $3"),
        (
            "SELECT 'a'::varchar(30), 1::numeric(10, 2)",
            "SELECT $1::varchar(30), $2::numeric(10, 2)",
        ),
        ('SELECT "Odd ""Name 1".x FROM "t"', 'SELECT "Odd ""Name 1".x FROM "t"'),
        ("SET application_name TO 'secret'", "SET application_name TO $1"),
        ("NOTIFY news, 'secret'", "NOTIFY news, $1"),
        ("COMMIT;", "COMMIT"),
        ("SELECT 1; SELECT 2", "SELECT $1; SELECT $2"),
        ('SAVEPOINT "s1_x1"; SELECT a', "SAVEPOINT $1; SELECT a"),
        ("RELEASE SAVEPOINT s1", "RELEASE SAVEPOINT $1"),
        ("release s1", "RELEASE $1"),
        ("ROLLBACK TO SAVEPOINT s1", "ROLLBACK TO SAVEPOINT $1"),
        ("DEALLOCATE PREPARE p1", "DEALLOCATE PREPARE $1"),
        ("DEALLOCATE ALL", "DEALLOCATE ALL"),
        ('DECLARE "c_1" CURSOR FOR SELECT a FROM t', "DECLARE $1 CURSOR FOR SELECT a FROM t"),
        ('FETCH FORWARD 10 FROM "c_1"', "FETCH FORWARD $1 FROM $2"),
        ("CLOSE c_1", "CLOSE $1"),
        ("SELECT 'never closed 123", "SELECT $1"),
        ("SELECT $tag$ never closed 123", "SELECT $1"),
        ("SELECT 1 /* never closed 123", "SELECT $1"),
        ("", ""),
    ],
)
def test_the_text_of_a_shape_is_normal(sql: str, text: str) -> None:
    assert shape_text(sql) == text


@pytest.mark.parametrize(
    ("sql", "verb", "tables"),
    [
        ("SELECT * FROM a JOIN public.B ON a.x = b.x", "SELECT", ("a", "public.b")),
        ("insert into t select * from u", "INSERT", ("t", "u")),
        ("UPDATE t SET a = 1 FROM u WHERE t.id = u.id", "UPDATE", ("t", "u")),
        ("DELETE FROM t WHERE a = interval '1 day'", "DELETE", ("t",)),
        ("WITH x AS (SELECT * FROM y) SELECT * FROM x", "SELECT", ("y",)),
        ("WITH x AS (DELETE FROM y RETURNING *) INSERT INTO z SELECT * FROM x", "INSERT", None),
        ("(SELECT 1 FROM a) UNION SELECT 2 FROM b", "SELECT", ("a", "b")),
        ("SELECT 1 FROM a; UPDATE b SET x = 1", "SELECT", ("a", "b")),
        ("SELECT * FROM generate_series(1, 5)", "SELECT", ()),
        ("CREATE INDEX i ON t (a)", "CREATE", ("t",)),
        ("COPY t FROM STDIN", "COPY", ("t",)),
        ("START TRANSACTION ISOLATION LEVEL SERIALIZABLE", "BEGIN", ()),
        ("END", "COMMIT", ()),
        ("ROLLBACK TO SAVEPOINT a", "ROLLBACK", ()),
        ("SET LOCAL statement_timeout = 100", "SET", ()),
    ],
)
def test_a_shape_says_verb_and_tables(sql: str, verb: str, tables: tuple[str, ...] | None) -> None:
    shape = statement_shape(sql)
    assert (shape.verb, shape.parsed) == (verb, True)
    assert set(shape.tables) == ({"y", "z"} if tables is None else set(tables))


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN ANALYZE SELECT 'secret 4711'",
        "DO $$ BEGIN PERFORM 'secret 4711'; END $$",
        "CALL charge('secret', 4711)",
        "EXECUTE find('secret', 4711)",
        "SELECT FROM WHERE ((( 'secret' 4711",
        "ALTER ROLE me PASSWORD 'secret' VALID UNTIL '4711'",
        "ALTER SYSTEM SET x = 'secret'",
        "COMMENT ON TABLE t IS 'secret 4711'",
        "SECURITY LABEL ON TABLE t IS 'secret'",
    ],
)
def test_what_sqlglot_does_not_know_keeps_no_values_either(
    sql: str, capfd: pytest.CaptureFixture[str]
) -> None:
    text = shape_text(sql)
    assert "secret" not in text
    assert "4711" not in text
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_parsed_says_so() -> None:
    assert statement_shape("SELECT FROM WHERE (((").parsed is False
    assert statement_shape(f"SELECT {'a, ' * PARSED_MAX} a FROM t").parsed is False
    assert statement_shape("SELECT " + "(" * 2000 + "1" + ")" * 2000).parsed is False


def test_a_long_list_has_the_shape_of_a_short_one() -> None:
    rows = ", ".join(f"({n}, 'name {n}')" for n in range(1000))
    long = f"INSERT INTO t (a, b) VALUES {rows}"
    assert len(long) > CACHED_TEXT_MAX
    assert statement_shape(long) == statement_shape("INSERT INTO t (a, b) VALUES (1, 'x')")


def test_an_id_is_the_same_in_every_process() -> None:
    assert statement_shape("SELECT 1").id == "c4ab1236bda9"


VALUES = st.one_of(
    st.integers(1000, 10**12).map(str),
    st.floats(1000, 1e12).map(lambda x: f"{x:.3f}"),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20).map(
        lambda s: "'zq" + s.replace("'", "''") + "zq'"
    ),
    st.text("ab\\'\n", max_size=10).map(
        lambda s: "E'zq" + s.replace("\\", "\\\\").replace("'", "\\'") + "'"
    ),
    st.text("ab'\n\"", max_size=10).map(lambda s: f"$q$zq{s}$q$"),
    st.sampled_from(["NULL", "true", "-4711.5", "$1", "0x4711"]),
)
TEMPLATES = (
    "SELECT a FROM t WHERE a = {} AND b < {} ORDER BY c LIMIT {}",
    "INSERT INTO t (a, b, c) VALUES ({}, {}, {}) ON CONFLICT (a) DO UPDATE SET b = {}",
    "UPDATE t SET a = {}, b = coalesce(b, {}) WHERE id IN ({}, {})",
    "DELETE FROM t WHERE a = ANY(ARRAY[{}, {}]) AND b->>{} = {}",
    "EXECUTE p({}, {}) -- {}",
)


@given(st.sampled_from(TEMPLATES), st.data())
def test_statements_that_differ_in_values_have_one_shape_without_them(
    template: str, data: st.DataObject
) -> None:
    count = template.count("{}")
    shapes = set()
    for _ in range(2):
        values = data.draw(st.lists(VALUES, min_size=count, max_size=count))
        # In a comment, a line's end would end it.
        sql = template.format(*(v.replace("\n", " ").replace("\r", " ") for v in values))
        shape = statement_shape(sql)
        assert statement_shape(shape.text) == shape
        assert "zq" not in shape.text
        assert not re.search(r"\d{3}", shape.text)
        shapes.add(shape)
    assert len(shapes) == 1


SCRAPS = st.sampled_from(
    [
        *"()[]{},;.:$'\"?-+*/=<>\\ \n_eEuUxX019",
        "::",
        "$1",
        "$$",
        "$a$",
        "--",
        "/*",
        "*/",
        "IN (",
        "VALUES (",
        "ARRAY[",
        "SELECT ",
        "numeric(",
        "NULL",
        "'x'",
        "İ",
        "ß",
        "٣",
        'U&"',
        "\0",
        "…",
    ]
)


@given(st.one_of(st.text(max_size=60), st.lists(SCRAPS, max_size=25).map("".join)))
@example("numeric(10..5")
@example("a - -1")
@example("$")
def test_a_shape_is_its_own_shape_whatever_it_was_made_of(sql: str) -> None:
    shape = statement_shape(sql)
    assert statement_shape(shape.text) == shape


def test_statements_sent_as_one_are_told_apart() -> None:
    body = (
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END"
    )
    rule = "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)"
    sql = f"; {body};;\n{rule}; SELECT ';' /* ; */, $$;$$ ; -- ;"
    assert top_level_statements(sql) == [body, rule, "SELECT ';' /* ; */, $$;$$"]
