"""Every mistake in a service file is answered with its place, what was expected, what came."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadpath.errors import ConfigurationError, ExitCode
from loadpath.spec import load

# A service file in which each line can be spoiled; the line numbers below are those of this text.
GOOD = """\
[service]
start = "serve --port {port}"
ready = "GET /health"

[dependencies.database]
kind = "postgres"
env = { DATABASE_URL = "postgresql://{user}:{password}@{host}:{port}/{name}" }

[workload]
arrivals = { open = "200/s" }

[workload.keys.link]
zipf = 1.0
count = 1000

[objective]
p99 = "100ms"
errors = "0.1%"

[operations."GET /{code}"]
request = "GET /{code}"
weight = 90
keys = "link"

[knobs.pool]
env = "DB_POOL"
default = "10"
values = ["5", "10"]
"""

MISTAKES = [
    # (what to replace, with what, line of the error, key of the error, what it says)
    ("ready =", "raedy =", 3, "service.raedy", "unknown key `raedy` in [service]; did you mean `r"),
    ("[objective]", "[objectives]", 16, "objectives", "unknown key `objectives`; did you mean `ob"),
    ("weight = 90", "zzz = 1", 22, 'operations."GET /{code}".zzz', "valid: `alone`, `body`, "),
    ('"100ms"', "100", 17, "objective.p99", 'expected a duration above zero such as "250ms"'),
    ('"100ms"', '"fast"', 17, "objective.p99", 'got "fast"'),
    ('"0.1%"', "1", 18, "objective.errors", 'expected a share such as "0.1%" or 0.001, got 1'),
    ('"200/s"', '"200"', 10, "workload.arrivals.open", 'a rate above zero such as "200/s"'),
    ('{ open = "200/s" }', "{}", 10, "workload.arrivals", "how load arrives"),
    ('{ open = "200/s" }', '"200/s"', 10, "workload.arrivals", 'expected a table, got "200/s"'),
    (
        '{ open = "200/s" }',
        '{ open = "2/s", users = 5 }',
        10,
        "workload.arrivals.users",
        "has both `open` and `users`",
    ),
    ('{ open = "200/s" }', "{ users = 5 }", 10, "workload.arrivals.think_time", "is missing"),
    (
        '{ open = "200/s" }',
        '{ users = 5, think_time = "1s", process = "poisson" }',
        10,
        "workload.arrivals.process",
        "goes with `open`",
    ),
    ('{ open = "200/s" }', "{ users = 0 }", 10, "workload.arrivals.users", "at least 1, got 0"),
    ('{ open = "200/s" }', "{ users = true }", 10, "workload.arrivals.users", "got true"),
    ('arrivals = { open = "200/s" }', "", 9, "workload.arrivals", "is missing"),
    ('start = "serve --port {port}"', "", 1, "service.start", "is missing: expected a command"),
    ('"serve --port {port}"', '""', 2, "service.start", "expected a command"),
    ('"serve --port {port}"', "[]", 2, "service.start", "expected a command"),
    ('"serve --port {port}"', '"serve \'{port}"', 2, "service.start", "no closing quotation"),
    ("--port {port}", "--port {prot}", 2, "service.start", "{prot}; did you mean {port}?"),
    ('"GET /health"', '"GET /"\nenv = { P = "{workers}" }', 4, "service.env.P", "valid: {port}"),
    ('"GET /health"', '"/health"', 3, "service.ready", 'a request line such as "GET /health"'),
    ('"postgres"', '"postgress"', 6, "dependencies.database.kind", "did you mean `postgres`?"),
    ('"postgres"', '"oracle"', 6, "dependencies.database.kind", '"postgres" or "valkey"'),
    ("{name}", "{nam}", 7, "dependencies.database.env.DATABASE_URL", "did you mean {name}?"),
    ("env = { DATA", "url = { DATA", 7, "dependencies.database.url", "expected a string"),
    (
        "env = { DATABASE_URL = ",
        "evn = { X = ",
        7,
        "dependencies.database.evn",
        "did you mean `env`?",
    ),
    (
        'env = { DATABASE_URL = "postgresql://{user}:{password}@{host}:{port}/{name}" }',
        'url = "mysql://me:hunter2@db/x"',
        7,
        "dependencies.database.url",
        'expected a postgres URL such as postgres://host:port, got "mysql://…@db/x"',
    ),
    (
        'env = { DATABASE_URL = "postgresql://{user}:{password}@{host}:{port}/{name}" }',
        "",
        5,
        "dependencies.database.env",
        "is missing",
    ),
    (
        'kind = "postgres"',
        'kind = "nats"\nextensions = ["x"]',
        7,
        "dependencies.database.extensions",
        "only a postgres dependency",
    ),
    ("[dependencies.database]", "[dependencies.service]", 5, "dependencies.service", "cannot name"),
    (
        'arrivals = { open = "200/s" }',
        'arrivals = { open = "200/s" }\nidentites = 5',
        11,
        "workload.identites",
        "did you mean `identities`?",
    ),
    (
        'arrivals = { open = "200/s" }',
        'arrivals = { open = "200/s" }\nidentities = 0',
        11,
        "workload.identities",
        "got 0",
    ),
    (
        'arrivals = { open = "200/s" }',
        'arrivals = { open = "200/s" }\nidentities = 2_000_000',
        11,
        "workload.identities",
        "at most 1,000,000 identities, got 2000000",
    ),
    (
        'arrivals = { open = "200/s" }',
        'arrivals = { open = "200/s" }\nidentities = { count = 5, zipff = 1 }',
        11,
        "workload.identities.zipff",
        "did you mean `zipf`?",
    ),
    (
        'arrivals = { open = "200/s" }',
        'arrivals = { open = "200/s" }\nidentities = { count = 5, zipf = 1, latest = 1 }',
        11,
        "workload.identities.latest",
        "has both `zipf` and `latest`",
    ),
    (
        'arrivals = { open = "200/s" }',
        'arrivals = { open = "200/s" }\ncookies = "yes"',
        11,
        "workload.cookies",
        "true or false",
    ),
    ("weight = 90", "folow = true", 22, 'operations."GET /{code}".folow', "did you mean `follow`?"),
    ("weight = 90", "follow = 0", 22, 'operations."GET /{code}".follow', "got 0"),
    (
        "weight = 90",
        'body = "x"\nform = { a = 1 }',
        23,
        'operations."GET /{code}".form',
        "has both `body` and `form`",
    ),
    (
        "weight = 90",
        "form = { a = { b = 1 } }",
        22,
        'operations."GET /{code}".form.a',
        "expected a string, a number, true or false, or a list of them, got a table",
    ),
    (
        "weight = 90",
        'body_file = "gone.json"',
        22,
        'operations."GET /{code}".body_file',
        'expected a file of UTF-8 text, got "gone.json"',
    ),
    (
        "weight = 90",
        'body = "{random:9..1}"',
        22,
        'operations."GET /{code}".body',
        "a range of whole numbers such as {random:1..100}",
    ),
    (
        "weight = 90",
        'headers = { X-Id = "{unqiue}" }',
        22,
        'operations."GET /{code}".headers.X-Id',
        "did you mean {unique}?",
    ),
    (
        'request = "GET /{code}"',
        'request = "GET /{code}?at={now:utc}"',
        21,
        'operations."GET /{code}".request',
        "expected {now}, {now:ms}, {now:iso}",
    ),
    ("zipf = 1.0", "zipf = -1", 13, "workload.keys.link.zipf", "at least 0, got -1"),
    ("zipf = 1.0", "zipf = nan", 13, "workload.keys.link.zipf", "got NaN"),
    ("zipf = 1.0", "uniform = false", 13, "workload.keys.link.uniform", "expected true"),
    ("zipf = 1.0", "zipf = 1\nlatest = 1", 14, "workload.keys.link.latest", "has both"),
    ("zipf = 1.0", "first = -1", 13, "workload.keys.link.first", "at least 0"),
    ("count = 1000", "count = 0", 14, "workload.keys.link.count", "at least 1, got 0"),
    ("count = 1000", "", 12, "workload.keys.link.count", "is missing"),
    ("zipf = 1.0", 'pattern = "{m}"', 13, "workload.keys.link.pattern", "a Python format over n"),
    ("zipf = 1.0", 'pattern = "x"', 13, "workload.keys.link.pattern", "all keys would be the same"),
    ("zipf = 1.0", 'pattern = "a {n}"', 13, "workload.keys.link.pattern", "blanks"),
    ("zipf = 1.0", 'file = "none.txt"', 13, "workload.keys.link.file", "No such file"),
    ("weight = 90", "weight = -1", 22, 'operations."GET /{code}".weight', "at least 0, got -1"),
    ("weight = 90", "weight = 0", 20, "operations", "every operation has weight 0"),
    ("weight = 90", 'alone = "yes"', 22, 'operations."GET /{code}".alone', "true or false"),
    ("weight = 90", "expect = [99]", 22, 'operations."GET /{code}".expect[0]', "HTTP status"),
    ("weight = 90", "body = 3", 22, 'operations."GET /{code}".body', "to send as JSON"),
    (
        "weight = 90",
        "headers = { Content-Length = 3 }",
        22,
        'operations."GET /{code}".headers.Content-Length',
        "writes itself",
    ),
    (
        "weight = 90",
        'headers = { "a b" = "x" }',
        22,
        'operations."GET /{code}".headers."a b"',
        "cannot be the name of a header",
    ),
    ('keys = "link"', "", 21, 'operations."GET /{code}".request', "no key set fills {code}"),
    ('keys = "link"', 'keys = "lnik"', 23, 'operations."GET /{code}".keys', "did you mean `link`?"),
    ('keys = "link"', "keys = 3", 23, 'operations."GET /{code}".keys', "got 3"),
    (
        'keys = "link"',
        'keys = { code = "link", cod = "link" }',
        23,
        'operations."GET /{code}".keys.cod',
        "no {cod} in the request; did you mean `code`?",
    ),
    (
        'keys = "link"',
        "keys = { zipf = 1.0 }",
        23,
        'operations."GET /{code}".keys.count',
        "is missing",
    ),
    (
        'keys = "link"',
        "keys = { zpf = 1.0, count = 3 }",
        23,
        'operations."GET /{code}".keys.zpf',
        "did you mean `zipf`?",
    ),
    (
        'request = "GET /{code}"',
        'request = "GET /"',
        23,
        'operations."GET /{code}".keys',
        "the request has no {field}",
    ),
    (
        'request = "GET /{code}"',
        'request = "GET /{code}/{page}"',
        23,
        'operations."GET /{code}".keys',
        "which of {code}, {page} does it fill?",
    ),
    (
        'request = "GET /{code}"',
        'request = "GTE /{code}"',
        21,
        'operations."GET /{code}".request',
        "did you mean `GET`?",
    ),
    (
        'request = "GET /{code}"',
        'request = "GET {code}"',
        21,
        'operations."GET /{code}".request',
        "the path begins with /",
    ),
    (
        'request = "GET /{code}"',
        'request = "GET /a b/{code}"',
        21,
        'operations."GET /{code}".request',
        "%20",
    ),
    (
        'request = "GET /{code}"',
        "",
        20,
        'operations."GET /{code}"',
        "has no `request` and is no flow",
    ),
    ('default = "10"', 'default = "11"', 27, "knobs.pool.default", 'values ("5", "10"), got "11"'),
    ('"DB_POOL"', '"DATABASE_URL"', 26, "knobs.pool.env", "sets DATABASE_URL, which"),
    ('values = ["5", "10"]', 'values = "5"', 28, "knobs.pool.values", "expected a list"),
    (
        'values = ["5", "10"]',
        'values = ["5", "10"]\npool = "databse"',
        29,
        "knobs.pool.pool",
        "no dependency; did you mean `database`?",
    ),
    (
        'values = ["5", "10"]',
        'values = ["many", "10"]\npool = "service"',
        28,
        "knobs.pool.values[0]",
        'above 0, the size of a pool, got "many"',
    ),
    ('ready = "GET /health"', 'peers = ["here"]', 3, "service.peers[0]", '"host:443", got "here"'),
    ('ready = "GET /health"', 'tls = "yes"', 3, "service.tls", 'or a table, got "yes"'),
    ('ready = "GET /health"', 'tls = { ca = "no.pem" }', 3, "service.tls.ca", 'got "no.pem"'),
    ('ready = "GET /health"', "tls = { key = 1 }", 3, "service.tls.key", "unknown key `key`"),
    ("[service]", "[service", 1, None, "not TOML"),
    ("[knobs.pool]", "x", 25, None, "not TOML"),
]


@pytest.mark.parametrize(("old", "new", "line", "key", "says"), MISTAKES)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, old: str, new: str, *, line: int, key: str | None, says: str
) -> None:
    assert GOOD.count(old) >= 1
    file = tmp_path / "loadpath.toml"
    file.write_text(GOOD)
    load(file, environ={})  # it is only the mistake that is refused
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        load(file, environ={})
    error = caught.value
    assert says in error.message
    assert (error.line, error.key) == (line, key)
    assert str(error).startswith(f"{file}:{line}: ")
    assert error.exit_code is ExitCode.USAGE


def test_no_operation_at_all(tmp_path: Path) -> None:
    file = tmp_path / "loadpath.toml"
    file.write_text(GOOD.partition("[operations")[0])
    with pytest.raises(ConfigurationError, match="`operations` is missing: expected at least one"):
        load(file, environ={})


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "loadpath.toml"
    file.write_bytes(b'[service]\nname = "caf\xe9"\n')
    with pytest.raises(ConfigurationError, match="not UTF-8") as caught:
        load(file, environ={})
    assert caught.value.line == 2


def test_in_pyproject_toml_the_line_is_that_of_the_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("[project]\nname = 'x'\n\n[tool.loadpath.service]\nstrat = 'serve'\n")
    with pytest.raises(ConfigurationError, match="did you mean `start`") as caught:
        load(tmp_path, environ={})
    assert (caught.value.line, caught.value.key) == (5, "service.strat")


class TestOverrides:
    @pytest.mark.parametrize(
        ("flag", "says"),
        [
            ("service.workers=many", "expected a whole number of at least 1, got"),
            ("service.wokers=2", "did you mean `workers`?"),
            ("sevrice.workers=2", "unknown key `sevrice`"),
            ("service=2", "expected a dotted key and a value"),
            ("service.workers", "expected a dotted key and a value"),
            ("service.workers=", "expected a whole number"),
            ("=3", "expected a dotted key and a value"),
            ("service.start.port=2", "is a value, not a table"),
            ('workload.arrivals={ open = "fast" }', 'got "fast"'),
            ("operations.typo.weight=2", "has no `request`"),
        ],
    )
    def test_a_mistake_in_a_flag_names_the_flag(self, tmp_path: Path, flag: str, says: str) -> None:
        (tmp_path / "loadpath.toml").write_text(GOOD)
        with pytest.raises(ConfigurationError) as caught:
            load(tmp_path, environ={}, overrides=[flag])
        assert says in caught.value.message
        assert str(caught.value).startswith(f"--set {flag}: ")

    def test_a_mistake_in_a_variable_names_the_variable(self, tmp_path: Path) -> None:
        (tmp_path / "loadpath.toml").write_text(GOOD)
        with pytest.raises(ConfigurationError) as caught:
            load(tmp_path, environ={"LOADPATH_SERVICE__WORKERS": "0"})
        assert str(caught.value) == (
            "environment variable LOADPATH_SERVICE__WORKERS: "
            "`service.workers`: expected a whole number of at least 1, got 0"
        )

    def test_a_name_that_fits_two_operations_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "loadpath.toml").write_text(
            GOOD + '[operations."GET /code"]\nrequest = "GET /code"\n'
        )
        with pytest.raises(
            ConfigurationError, match=r"may mean any of `GET /code`, `GET /\{code}`"
        ):
            load(tmp_path, environ={"LOADPATH_OPERATIONS__GET_CODE__WEIGHT": "2"})


class TestFlows:
    def folder(self, tmp_path: Path, flows: str, more: str = "") -> Path:
        text = GOOD.replace("[workload]", '[workload]\nflows = "workload.py"', 1)
        (tmp_path / "loadpath.toml").write_text(text + more)
        (tmp_path / "workload.py").write_text(flows)
        return tmp_path

    @pytest.mark.parametrize(
        ("flows", "line", "says"),
        [
            ("x = 1\nimport no_such_module_here\n", 2, "ModuleNotFoundError"),
            ("x = 1\n\ndef f(:\n", 3, "SyntaxError"),
            ("def f():\n    raise ValueError('odd')\nf()\n", 2, "ValueError: odd"),
            ("raise SystemExit\n", 1, "SystemExit"),
            (
                "from loadpath.flow import operation\n\n@operation('GET /x')\n"
                "def x(state):\n    return 1\n",
                3,
                "x is marked as a flow but never yields",
            ),
            (
                "from loadpath.flow import operation\n@operation('GET /x')\n"
                "def x(state):\n    yield 1\n@operation('GET /x')\ndef y(state):\n    yield 1\n",
                5,
                "two flows are called `GET /x`",
            ),
            (
                "from loadpath.flow import operation\n"
                "@operation('GET /x', weight='2')\ndef x(state):\n    yield 1\n",
                2,
                "expected a weight of at least 0, got '2'",
            ),
            (
                "from loadpath.flow import operation\n"
                "@operation('GET /x', timeout_s=0)\ndef x(state):\n    yield 1\n",
                2,
                "expected a timeout_s above 0, got 0",
            ),
        ],
    )
    def test_a_file_that_does_not_run_is_named_with_its_line(
        self, tmp_path: Path, flows: str, line: int, says: str
    ) -> None:
        folder = self.folder(tmp_path, flows)
        with pytest.raises(ConfigurationError) as caught:
            load(folder, environ={})
        assert says in caught.value.message
        assert str(caught.value).startswith(f"{folder / 'workload.py'}:{line}: ")

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, "")
        (folder / "workload.py").unlink()
        with pytest.raises(ConfigurationError, match="there is no such file") as caught:
            load(folder, environ={})
        assert (caught.value.key, caught.value.line) == ("workload.flows", 10)

    FLOW = (
        "from loadpath.flow import operation, get\n"
        "@operation('GET /orders')\n"
        "def orders(state):\n"
        "    yield get('/orders')\n"
    )

    def test_a_section_that_is_no_flow_is_told_the_nearest(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, self.FLOW, '[operations."GET /order"]\nweight = 2\n')
        with pytest.raises(ConfigurationError, match="did you mean `GET /orders`"):
            load(folder, environ={})

    def test_a_flow_makes_its_own_requests(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, self.FLOW, '[operations."GET /orders"]\nkeys = "link"\n')
        with pytest.raises(ConfigurationError, match="makes its own requests"):
            load(folder, environ={})

    def test_a_flow_cannot_be_declared_as_well(self, tmp_path: Path) -> None:
        more = '[operations."GET /orders"]\nrequest = "GET /orders"\n'
        folder = self.folder(tmp_path, self.FLOW, more)
        with pytest.raises(ConfigurationError, match="is a flow as well"):
            load(folder, environ={})

    def test_the_flows_may_import_what_lies_beside_them(self, tmp_path: Path) -> None:
        (tmp_path / "loadpath_test_neighbor.py").write_text("NAME = 'GET /beside'\n")
        folder = self.folder(
            tmp_path,
            "from loadpath_test_neighbor import NAME\n"
            "from loadpath.flow import operation, get\n"
            "@operation(NAME)\ndef orders(state):\n    yield get('/orders')\n",
        )
        names = [o.name for o in load(folder, environ={}).workload.operations]
        assert "GET /beside" in names
