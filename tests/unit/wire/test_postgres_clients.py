"""PostgreSQL's wire as recorded clients spoke it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from postgres_language import (
    TERMINATE,
    Piece,
    fed,
    read_in_every_way,
    words,
)

TRANSCRIPTS = Path(__file__).parent / "transcripts"


# ---- recorded clients


def transcript(name: str) -> list[list[Piece]]:
    connections: list[list[Piece]] = []
    for line in (TRANSCRIPTS / name).read_text("ascii").splitlines():
        if line.startswith("-"):
            connections.append([])
            continue
        who, at_ms, data = line.split(" ", 2)
        connections[-1].append((who, ast.literal_eval(data), float(at_ms) / 1e3))
    return connections


@pytest.mark.parametrize("name", sorted(f.name for f in TRANSCRIPTS.glob("*.txt")))
def test_a_recorded_client_reads_the_same_wherever_its_pieces_are_cut(name: str) -> None:
    for pieces in transcript(name):
        conversation = read_in_every_way(pieces)
        assert conversation.unread is None
        assert all(e.ended for e in conversation.finished)
        for e in conversation.finished:
            assert e.began_s <= e.first_byte_s <= e.ended_s
        # Every byte of the server's belongs to something, and every byte of the client's but the
        # farewell.
        reply_bytes = sum(e.reply_bytes for e in conversation.finished)
        assert reply_bytes == sum(len(data) for who, data, _ in pieces if who == "S")
        said = [data for who, data, _ in pieces if who == "C"]
        farewell = len(TERMINATE) if said[-1].endswith(TERMINATE) else 0
        request_bytes = sum(e.request_bytes for e in conversation.finished)
        assert request_bytes == sum(map(len, said)) - farewell


def recorded(name: str) -> list[str]:
    return [words(e) for pieces in transcript(name) for e in fed(pieces).finished]


def test_psycopg_is_read() -> None:
    by_id = "'SELECT name FROM item WHERE id = $1'"
    insert = "'INSERT INTO item VALUES ($1, $2, $3)'"
    assert recorded("psycopg.txt") == [
        "startup 'app'",
        "query 'BEGIN' open",
        f"execute {by_id} rows 0 open",
        *[f"execute {by_id} rows 1 open"] * 4,
        f"prepare {by_id} open",
        *[f"execute {by_id} rows 1 open"] * 2,
        "query 'COMMIT'",
        "query 'BEGIN' open",
        f"execute {insert} rows 1 open",
        "query 'ROLLBACK'",
        "query 'DEALLOCATE ALL'",
        "query 'BEGIN' open",
        f"execute {insert} error 23505 failed",
        "query 'ROLLBACK'",
        "query 'SELECT 1' rows 1",
        "query 'SELECT 2, 3' rows 1",
        "query 'UPDATE item SET price = 1 WHERE id < 4' rows 3",
        "query",
        "query 'SELECT 1' rows 1",
        "query 'SELECT 1/0' error 22012",
        "query 'LISTEN news'",
        "notify 'news' pushed",
        "query \"SELECT pg_notify('news', 'hello')\" rows 1",
        "query \"DO $$ BEGIN RAISE NOTICE 'a notice'; END $$\"",
        "query \"SET application_name = 'renamed'\"",
    ]


def test_psycopgs_pipelines_are_read() -> None:
    by_id = "'SELECT name FROM item WHERE id = $1'"
    assert recorded("psycopg-pipeline.txt") == [
        "startup 'app'",
        f"execute {by_id} rows 0",
        *[f"execute {by_id} rows 1"] * 2,
        "execute 'UPDATE item SET price = 2 WHERE id = $1' rows 1",
        "execute 'SELECT 1' rows 1",
        "execute 'SELECT 1 / $1' error 22012",
        "execute 'SELECT 3' error skipped",
        "sync",
        *["execute 'INSERT INTO item VALUES ($1, $2, $3)' rows 1"] * 20,
    ]


def test_psycopgs_cursors_and_copies_are_read() -> None:
    assert recorded("psycopg-cursor.txt") == [
        "startup 'app'",
        "query 'BEGIN' open",
        "execute 'DECLARE \"browse\" CURSOR FOR SELECT id FROM item ORDER BY id LIMIT 45' open",
        "prepare open",  # it describes a portal that only the server knows
        "query 'FETCH FORWARD 10 FROM \"browse\"' rows 10 open",
        "query 'FETCH FORWARD ALL FROM \"browse\"' rows 35 open",
        "query 'CLOSE \"browse\"' open",
        "copy 'COPY item FROM STDIN' rows 40 open",
        "copy 'COPY (SELECT id FROM item WHERE id < 30) TO STDOUT' rows 29 open",
        "copy 'COPY item FROM STDIN' error 22P02 failed",
        "query 'ROLLBACK'",
    ]


def test_asyncpg_is_read() -> None:
    by_id = "'SELECT name FROM item WHERE id = $1'"
    some = "'SELECT id FROM item ORDER BY id LIMIT 25'"
    assert recorded("asyncpg.txt") == [
        "startup 'app'",
        f"prepare {by_id}",
        *[f"execute {by_id} rows 1"] * 3,
        "query 'BEGIN;' open",
        "prepare 'UPDATE item SET price = $1 WHERE id = 2' open",
        "execute 'UPDATE item SET price = $1 WHERE id = 2' rows 1 open",
        f"prepare {some} open",
        f"execute {some} rows 10 open",
        f"fetch {some} rows 10 open",
        f"fetch {some} rows 5 open",
        "sync open",
        "query 'COMMIT;'",
        "prepare 'INSERT INTO item VALUES ($1, $2, NULL)'",
        *["execute 'INSERT INTO item VALUES ($1, $2, NULL)' rows 1"] * 10,
        "prepare \"INSERT INTO item VALUES ($1, 'double', NULL)\"",
        "execute \"INSERT INTO item VALUES ($1, 'double', NULL)\" error 23505",
        "prepare 'SELEC 1' error 42601",
        "prepare 'SELECT * FROM \"item\" LIMIT 1'",
        "copy 'COPY \"item\" FROM STDIN (FORMAT binary) ' rows 5",
        "query 'SELECT 1' rows 1",
        "query 'SELECT 2' rows 1",
        "prepare 'LISTEN \"news\"'",
        "execute 'LISTEN \"news\"'",
        "notify 'news' pushed",
        "query \"NOTIFY news, 'hello'\"",
        "query 'SELECT pg_sleep(5)' error 57014",
        "cancel",
    ]


def test_node_postgres_is_read() -> None:
    assert recorded("node-postgres.txt") == [
        "startup 'app'",
        "query 'BEGIN' open",
        "execute 'SELECT name FROM item WHERE id = $1' rows 1 open",
        *["execute 'SELECT * FROM item WHERE id = $1' rows 1 open"] * 2,
        "query 'COMMIT'",
        "execute 'SELECT 1 / $1::int' error 22012",
        "query 'SELECT 1' rows 1",
        "execute 'SELECT $1::text' rows 1",
    ]
