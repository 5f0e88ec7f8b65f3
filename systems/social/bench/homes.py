"""What a home and a post cost: rates with the service on one core, and CPU time of the service.

    python bench/homes.py [--connections 8] [--seconds 5] [--accounts 2000] [--write]

Needs `wrk` and `taskset` on the PATH, two cores and the `testing` extra. It starts the service (one
worker) on one core and the embedded servers and wrk on the other, with a database that
`python -m social seed` filled. Homes are pages of 20, of users drawn at random; posts are by
accounts with 5 to 15 followers, without retries and with the fan-out, whose CPU counts until
nothing is left of it. With --write the table takes the place of the one in README.md.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import subprocess
import time
from pathlib import Path

import httpx
import msgspec
import readme
from social.seed import token_of
from social.testing import command, new_database, on_database
from systems_common.testing import (
    EmbeddedServer,
    GranianService,
    descendants,
    granian_service,
    nats_server,
    postgres_server,
    private_folder,
    valkey_server,
    wait_until,
)

PREFIX = "bench"
BEGIN = "<!-- measured: written by bench/homes.py -->"
_TICKS = os.sysconf("SC_CLK_TCK")

SCRIPT = """
local tokens, next = {}, 0
for token in io.lines(os.getenv("TOKENS")) do tokens[#tokens + 1] = token end
local posts = os.getenv("POSTS")
request = function()
  next = next % #tokens + 1
  local headers = {["Authorization"] = "Bearer " .. tokens[next]}
  headers["Content-Type"] = "application/json"
  if posts then
    return wrk.format("POST", "/api/v1/statuses", headers,
      '{"status": "Something to say, number ' .. next .. '", "visibility": "public"}')
  end
  return wrk.format("GET", "/api/v1/timelines/home?limit=20", headers)
end
"""


class Result(msgspec.Struct, frozen=True):
    """One run; CPU of the service and of its servers, per request."""

    rate_per_s: float
    cpu_us: float
    servers_cpu_us: float
    p99: str
    failed: int


def cpu_s(pids: list[int]) -> float:
    """CPU seconds that these processes have used."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def drive(
    service: GranianService,
    servers: list[EmbeddedServer],
    folder: Path,
    tokens: list[str],
    *,
    options: argparse.Namespace,
    posts: bool,
    database: str,
) -> Result:
    """Run wrk and count what the service and its servers spent."""
    (folder / "tokens").write_text("\n".join(tokens) + "\n")
    (folder / "script.lua").write_text(SCRIPT)
    env = {**os.environ, "TOKENS": str(folder / "tokens")} | ({"POSTS": "1"} if posts else {})
    argv = ["taskset", "-c", "1", "wrk", "-t", "1", "-c", str(options.connections), "--latency",
            "-s", str(folder / "script.lua"), "-d"]  # fmt: skip
    subprocess.run([*argv, "1", service.url], env=env, check=True, capture_output=True)
    theirs = [pid for one in servers for pid in (one.pid, *descendants(one.pid))]
    before, before_theirs = cpu_s(service.worker_pids), cpu_s(theirs)
    done = subprocess.run(
        [*argv, str(options.seconds), service.url],
        env=env, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    wait_until(
        lambda: not on_database(database, lambda c: c.fetch("SELECT FROM fanout LIMIT 1")),
        timeout_s=60.0,
        what="the fan-out to end",
    )
    spent = cpu_s(service.worker_pids) - before
    spent_theirs = cpu_s(theirs) - before_theirs
    count = int(re.search(r"(\d+) requests in", done)[1])  # type: ignore[index]
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
    return Result(
        float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1]),  # type: ignore[index]
        spent / count * 1e6,
        spent_theirs / count * 1e6,
        re.search(r"99%\s+(\S+)", done)[1],  # type: ignore[index]
        int(failed[1]) if failed else 0,
    )


def measure(options: argparse.Namespace) -> list[str]:
    """The rows of the table."""
    rows = []
    os.sched_setaffinity(0, {1})  # all that is started below, but for the service
    with (
        postgres_server({"shared_buffers": "256MB"}) as postgres,
        valkey_server() as valkey,
        nats_server() as nats,
        private_folder("social-bench-") as folder,
    ):
        url = new_database(postgres.url)
        for arguments in (
            ("migrate",),
            ("seed", "--accounts", str(options.accounts), "--follows", "30", "--statuses", "20000"),
        ):
            done = command(url, *arguments, SEED_TOKEN=PREFIX)
            if done.returncode:
                raise SystemExit(done.stderr)
        few = on_database(
            url,
            lambda c: c.fetch(
                """SELECT a.username FROM account AS a JOIN follow AS f ON f.target_id = a.id
                   GROUP BY a.username HAVING count(*) BETWEEN 5 AND 15"""
            ),
        )
        authors = [token_of(PREFIX, int(row[0][1:])) for row in few]
        readers = [token_of(PREFIX, number) for number in range(0, options.accounts, 8)]
        env = {"DATABASE_URL": url, "VALKEY_URL": valkey.url, "NATS_URL": nats.url,
               "LOG_LEVEL": "warning", "FANOUT_THRESHOLD": "500"}  # fmt: skip
        os.sched_setaffinity(0, {0})
        with granian_service("social.app:app", env) as service:
            os.sched_setaffinity(0, {1})
            # Homes are made once and read often; what making them costs is not asked here.
            with httpx.Client(base_url=service.url, timeout=20.0) as client:
                for token in readers:
                    reply = client.get(
                        "/api/v1/timelines/home?limit=20",
                        headers={"Authorization": f"Bearer {token}"},
                    )
                    assert len(reply.json()) == 20, reply.text
            for name, tokens, posts in (("home", readers, False), ("post", authors, True)):
                found = drive(
                    service,
                    [postgres, valkey, nats],
                    folder,
                    tokens,
                    options=options,
                    posts=posts,
                    database=url,
                )
                rows.append(
                    f"| {name} | {found.rate_per_s:,.0f} | {found.cpu_us:,.0f} |"
                    f" {1e6 / found.cpu_us:,.0f} | {found.servers_cpu_us:,.0f} |"
                    f" {found.p99} | {found.failed} |"
                )
                print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure, print, and with --write put it into README.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    began = time.monotonic()
    table = [
        "| what | per second, one core | CPU µs | per CPU-second | CPU µs of its servers | p99 |"
        " failed |",
        "|---|---|---|---|---|---|---|",
        *measure(options),
    ]
    said = (
        f"{datetime.date.today()}, {os.cpu_count()} cores, {options.connections} connections,"
        f" {options.accounts} accounts; load average before {busy:.1f};"
        f" {time.monotonic() - began:.0f} s."
    )
    print(said)
    if options.write:
        readme.write(BEGIN, said, table)


if __name__ == "__main__":
    main()
