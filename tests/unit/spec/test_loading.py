"""What a service file means once it is read, and what overrides it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from loadpath.errors import ConfigurationError
from loadpath.spec import (
    ClosedArrivals,
    DeclaredRequest,
    KeySet,
    Objective,
    OpenArrivals,
    Operation,
    QuantileLimit,
    Setup,
    Tls,
    load,
)

WHOLE = """\
[service]
name = "shop"
start = "serve --port {port} --workers {workers} 'my app'"
ready = "GET /health"
workers = 2
env = { LOG_LEVEL = "warning", DEBUG = false, SIZE = 3 }
ready_timeout = "1m"
peers = ["mail.example:25"]

[dependencies.database]
kind = "postgres"
env = { DATABASE_URL = "postgresql+asyncpg://{user}:{password}@{host}:{port}/{name}" }
prepare = "python -m shop migrate"
seed = ["python", "-m", "shop", "seed", "--items", "10"]
settings = { shared_buffers = "64MB", max_connections = 50 }
extensions = ["pg_trgm"]

[dependencies.cache]
kind = "valkey"
url = "redis://localhost:6379/0"

[workload]
arrivals = { open = "12k/min", process = "constant" }
flows = "workload.py"
connections = 64
assumptions = ["items are asked for as Zipf 1.0 has it"]

[workload.keys.item]
zipf = 1.1
count = 1000
pattern = "item-{n:04d}"

[objective]
p50 = "10ms"
p99 = "100ms"
errors = "0.5%"

[operations."GET /items/{id}"]
request = "GET /items/{id}?full=1"
weight = 90
keys = "item"
headers = { Accept = "application/json" }
expect = [404]
timeout = "2s"
objective = { p99 = "50ms" }

[operations.search]
request = "POST /search/{page}"
keys = { page = { uniform = true, count = 9 }, id = "item" }
body = { near = "{id}", size = 20 }
alone = true

[operations."POST /orders"]
weight = 3
objective = { errors = 0.01 }

[knobs.pool]
env = "DB_POOL"
default = 10
values = [5, "10"]
pool = "database"
"""

FLOWS = """\
from loadpath.flow import operation, post, still_holds

@operation("POST /orders", weight=1, timeout_s=3.0)
def order(state):
    yield post("/orders", json={"item": state.key("item")})

@operation("GET /orders/mine")
def mine(state):
    yield post("/orders")

@still_holds("order")
def holds(order):
    yield post("/orders")
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A folder with the whole file above and its flows."""
    (tmp_path / "loadpath.toml").write_text(WHOLE, "utf-8")
    (tmp_path / "workload.py").write_text(FLOWS, "utf-8")
    return tmp_path


def loaded(folder: Path, *overrides: str, **environ: str) -> Setup:
    return load(folder, environ=environ, overrides=overrides)


def operation(setup: Setup, name: str) -> Operation:
    return next(o for o in setup.workload.operations if o.name == name)


def minimal(folder: Path, rest: str = "", operations: str | None = None) -> Path:
    """Write a small valid file plus `rest`."""
    text = textwrap.dedent("""\
        [service]
        start = "serve {port}"
        [workload]
        arrivals = { open = "10/s" }
        """)
    text += '[operations.home]\nrequest = "GET /"\n' if operations is None else operations
    (folder / "loadpath.toml").write_text(text + rest, "utf-8")
    return folder


class TestService:
    def test_the_start_command_is_split_as_a_shell_would(self, service: Path) -> None:
        start = loaded(service).service.start
        assert start == ("serve", "--port", "{port}", "--workers", "{workers}", "my app")

    def test_its_other_keys(self, service: Path) -> None:
        read = loaded(service).service
        assert (read.name, read.ready, read.workers) == ("shop", "GET /health", 2)
        assert read.env == {"LOG_LEVEL": "warning", "DEBUG": "false", "SIZE": "3"}
        assert (read.ready_timeout_s, read.stop_timeout_s) == (60.0, 10.0)
        assert read.peers == ("mail.example:25",)
        assert read.directory == service

    def test_tls_is_spoken_when_it_says_so(self, service: Path) -> None:
        assert loaded(service).service.tls is None
        assert loaded(service).service.scheme == "http"
        (service / "ca.pem").write_text("a certificate")
        for written, meant in [
            ("true", Tls()),
            ("false", None),
            ('{ ca = "ca.pem" }', Tls(ca=service / "ca.pem", name="localhost")),
            ('{ ca = "ca.pem", name = "shop" }', Tls(ca=service / "ca.pem", name="shop")),
        ]:
            file = service / "loadpath.toml"
            file.write_text(WHOLE.replace("workers = 2", f"tls = {written}", 1))
            read = loaded(service).service
            assert read.tls == meant
            assert read.scheme == ("http" if meant is None else "https")

    def test_is_named_after_its_folder_when_it_has_no_name(self, tmp_path: Path) -> None:
        folder = tmp_path / "basket"
        folder.mkdir()
        assert loaded(minimal(folder)).service.name == "basket"

    def test_the_port_may_be_told_in_a_variable(self, tmp_path: Path) -> None:
        (tmp_path / "loadpath.toml").write_text(
            '[service]\nstart = "node ."\nenv = { PORT = "{port}" }\n'
            '[workload]\narrivals = { open = "1/s" }\n[operations.a]\nrequest = "GET /"\n'
        )
        assert loaded(tmp_path).service.env == {"PORT": "{port}"}

    def test_dependencies(self, service: Path) -> None:
        database, cache = loaded(service).service.dependencies
        assert (database.name, database.kind, database.url) == ("database", "postgres", None)
        assert database.prepare == ("python", "-m", "shop", "migrate")
        assert database.seed == ("python", "-m", "shop", "seed", "--items", "10")
        assert database.settings == {"shared_buffers": "64MB", "max_connections": "50"}
        assert database.extensions == ("pg_trgm",)
        assert cache.url == "redis://localhost:6379/0"

    def test_knobs_are_strings_as_environment_variables_are(self, service: Path) -> None:
        (knob,) = loaded(service).service.knobs
        assert (knob.name, knob.env, knob.default, knob.values) == (
            "pool",
            "DB_POOL",
            "10",
            ("5", "10"),
        )

    def test_a_knob_may_say_whose_pool_it_sizes(self, service: Path) -> None:
        (knob,) = loaded(service).service.knobs
        assert knob.pool == "database"


class TestWorkload:
    def test_open_arrivals(self, service: Path) -> None:
        assert loaded(service).workload.arrivals == OpenArrivals(200.0, "constant")

    def test_closed_arrivals(self, tmp_path: Path) -> None:
        setup = loaded(minimal(tmp_path), 'workload.arrivals={ users = 50, think_time = "500ms" }')
        assert setup.workload.arrivals == ClosedArrivals(50, 0.5)

    def test_operations_in_the_order_of_the_file_then_the_other_flows(self, service: Path) -> None:
        names = [o.name for o in loaded(service).workload.operations]
        assert names == ["GET /items/{id}", "search", "POST /orders", "GET /orders/mine"]

    def test_a_declared_operation(self, service: Path) -> None:
        read = operation(loaded(service), "GET /items/{id}")
        assert read.request is not None
        assert (read.request.method, read.request.path) == ("GET", "/items/{id}?full=1")
        assert read.request.keys == {"id": "item"}
        assert read.request.headers == (("Accept", "application/json"),)
        assert (read.weight, read.expect, read.timeout_s) == (90.0, (404,), 2.0)

    def test_a_body_written_as_a_table_is_sent_as_json(self, service: Path) -> None:
        request = operation(loaded(service), "search").request
        assert request is not None
        assert request.body == '{"near":"{id}","size":20}'
        assert request.headers == (("Content-Type", "application/json"),)
        assert request.keys == {"page": "search page", "id": "item"}

    def test_key_sets_named_and_written_in_place(self, service: Path) -> None:
        assert loaded(service).workload.key_sets == (
            KeySet(
                name="item",
                count=1000,
                distribution="zipf",
                exponent=1.1,
                pattern="item-{n:04d}",
            ),
            KeySet(name="search page", count=9),
        )

    def test_a_key_set_of_a_file_counts_its_lines(self, tmp_path: Path) -> None:
        (tmp_path / "ids.txt").write_text("a\nb\nc\n")
        minimal(tmp_path, '[workload.keys.id]\nlatest = 0.9\nfile = "ids.txt"\n')
        (keys,) = loaded(tmp_path).workload.key_sets
        assert (keys.count, keys.distribution, keys.exponent) == (3, "latest", 0.9)
        assert keys.file == tmp_path / "ids.txt"

    def test_reads_may_be_measured_alone_and_writes_not(self, service: Path) -> None:
        setup = loaded(service)
        alone = {o.name: o.alone for o in setup.workload.operations}
        assert alone == {
            "GET /items/{id}": True,
            "search": True,  # the file says so
            "POST /orders": False,
            "GET /orders/mine": True,
        }

    def test_a_section_without_a_request_refines_a_flow(self, service: Path) -> None:
        read = operation(loaded(service), "POST /orders")
        assert read.request is None
        assert (read.weight, read.timeout_s) == (3.0, 3.0)
        assert read.objective is not None
        assert read.objective.errors_ratio == 0.01

    def test_braces_in_a_body_are_only_fields_when_keys_says_so(self, tmp_path: Path) -> None:
        minimal(
            tmp_path,
            operations='[operations.q]\nrequest = "POST /graphql"\nbody = "{user{id}}"\n',
        )
        request = operation(loaded(tmp_path), "q").request
        assert request is not None
        assert (request.body, request.keys) == ("{user{id}}", {})


class TestIdentities:
    LOGIN = "from loadpath.flow import *\n@login\ndef enter(identity):\n    yield get('/')\n"

    def test_a_number_is_that_many_all_alike(self, tmp_path: Path) -> None:
        workload = loaded(minimal(tmp_path), "workload.identities=100").workload
        assert workload.identities == KeySet(name="identities", count=100)
        assert not workload.cookies
        assert loaded(tmp_path).workload.identities is None

    def test_a_table_says_how_active_each_is(self, tmp_path: Path) -> None:
        workload = loaded(
            minimal(tmp_path),
            "workload.identities={ count = 9, zipf = 1.1 }",
            LOADPATH_WORKLOAD__COOKIES="true",
        ).workload
        assert workload.identities == KeySet(
            name="identities", count=9, distribution="zipf", exponent=1.1
        )
        assert workload.cookies

    def test_a_login_needs_to_know_how_many(self, tmp_path: Path) -> None:
        (tmp_path / "workload.py").write_text(self.LOGIN)
        minimal(tmp_path)
        assert loaded(tmp_path).workload.flows is None
        with pytest.raises(ConfigurationError, match=r"`workload.identities` is missing") as caught:
            loaded(tmp_path, "workload.flows=workload.py")
        assert caught.value.advice == (
            "Say identities = 100 under [workload], or take the @login away."
        )
        loaded(tmp_path, "workload.flows=workload.py", "workload.identities=3")

    def test_one_login_is_enough(self, tmp_path: Path) -> None:
        again = self.LOGIN.partition("\n")[2].replace("enter", "again")
        (tmp_path / "workload.py").write_text(self.LOGIN + again)
        minimal(tmp_path)
        with pytest.raises(ConfigurationError, match="again is a second login") as caught:
            loaded(tmp_path, "workload.flows=workload.py", "workload.identities=3")
        assert caught.value.line == 5


class TestBodies:
    def of(self, folder: Path, *lines: str) -> DeclaredRequest:
        text = '[workload.keys.k]\ncount = 5\n[operations.q]\nrequest = "POST /q"\n'
        minimal(folder, operations=text + "\n".join(lines) + "\n")
        request = operation(loaded(folder), "q").request
        assert request is not None
        return request

    def test_a_form_is_urlencoded_around_its_fields(self, tmp_path: Path) -> None:
        request = self.of(
            tmp_path,
            '[operations.q.form]\n"a b" = "{unique} &{x}"\nn = 5\nmany = ["{id}", true]',
            'at = "{random:1..9}"\n[operations.q.keys]\nid = "k"',
        )
        assert request.body == "a+b={unique}+%26%7Bx%7D&n=5&many={id}&many=true&at={random:1..9}"
        assert request.form
        assert request.headers == (("Content-Type", "application/x-www-form-urlencoded"),)
        assert request.keys == {"id": "k"}

    def test_a_body_may_be_in_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "order.json").write_text('{"id": "{id}", "n": {n}}\n')
        (tmp_path / "order.xml").write_text("<n>{n}</n>")
        request = self.of(tmp_path, 'body_file = "order.json"', 'keys = "k"')
        assert request.body == '{"id": "{id}", "n": {n}}\n'
        assert request.headers == (("Content-Type", "application/json"),)
        assert request.keys == {"id": "k"}  # what fills itself is not asked for a key set
        assert self.of(tmp_path, 'body_file = "order.xml"').headers == ()

    def test_a_key_set_may_fill_a_field_of_any_name(self, tmp_path: Path) -> None:
        assert self.of(tmp_path, 'body = "{n}"', 'keys = "k"').keys == {"n": "k"}
        assert self.of(tmp_path, 'body = "{n}"').keys == {}

    def test_fields_may_stand_in_headers(self, tmp_path: Path) -> None:
        request = self.of(
            tmp_path, 'headers = { Idempotency-Key = "{unique}", X-K = "{id}" }', 'keys = "k"'
        )
        assert request.keys == {"id": "k"}

    @pytest.mark.parametrize(("written", "follow"), [("true", 10), ("3", 3), ("false", 0)])
    def test_redirects_are_followed_when_asked(
        self, tmp_path: Path, written: str, follow: int
    ) -> None:
        self.of(tmp_path, f"follow = {written}")
        assert operation(loaded(tmp_path), "q").follow == follow

    def test_a_mistake_in_a_file_is_told_with_its_line(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("one\n{two}\n{uniqe}\n")
        with pytest.raises(ConfigurationError) as caught:
            self.of(tmp_path, 'body_file = "a.txt"')
        assert caught.value.message == (
            "`operations.q.body_file` (a.txt, line 3): {uniqe} is filled by nothing; did you mean "
            "{unique}? As text it is written { uniqe }"
        )


class TestObjectives:
    def test_the_workloads_own(self, service: Path) -> None:
        assert loaded(service).workload.objective == Objective(
            (QuantileLimit(0.5, 0.01), QuantileLimit(0.99, 0.1)), 0.005
        )

    def test_an_operations_objective_goes_over_the_workloads(self, service: Path) -> None:
        assert operation(loaded(service), "GET /items/{id}").objective == Objective(
            (QuantileLimit(0.5, 0.01), QuantileLimit(0.99, 0.05)), 0.005
        )

    def test_what_is_assumed_is_said(self, service: Path, tmp_path: Path) -> None:
        assert loaded(service).workload.assumptions == ("items are asked for as Zipf 1.0 has it",)
        folder = tmp_path / "other"
        folder.mkdir()
        workload = loaded(minimal(folder)).workload
        assert workload.objective == Objective()
        response_time, errors = workload.assumptions
        assert "p99 ≤ 100 ms" in response_time
        assert "≤ 0.1%" in errors


class TestWhereTheFileIs:
    def test_a_table_of_pyproject_toml_does_as_well(self, service: Path) -> None:
        text = WHOLE.replace("\n[", "\n[tool.loadpath.").replace(
            "[service]", "[tool.loadpath.service]", 1
        )
        (service / "loadpath.toml").unlink()
        (service / "pyproject.toml").write_text('[project]\nname = "shop"\n' + text, "utf-8")
        assert loaded(service).service.name == "shop"
        assert loaded(service / "pyproject.toml").service.name == "shop"

    def test_a_file_may_be_named(self, service: Path) -> None:
        (service / "loadpath.toml").rename(service / "heavy.toml")
        assert load(service / "heavy.toml", environ={}).service.directory == service

    def test_two_descriptions_of_one_service_are_one_too_many(self, service: Path) -> None:
        (service / "pyproject.toml").write_text("[tool.loadpath.service]\nstart = 'x'\n")
        with pytest.raises(ConfigurationError, match=r"both loadpath\.toml and"):
            loaded(service)

    def test_a_folder_without_one_is_told_of_init(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"no loadpath\.toml") as caught:
            loaded(tmp_path)
        assert "loadpath init" in str(caught.value.advice)
        assert caught.value.exit_code == 2

    def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"no file or folder .*nowhere"):
            loaded(tmp_path / "nowhere")


class TestOverrides:
    def test_a_flag_wins_over_a_variable_and_both_over_the_file(self, service: Path) -> None:
        variables = {"LOADPATH_SERVICE__WORKERS": "3"}
        assert loaded(service).service.workers == 2
        assert loaded(service, **variables).service.workers == 3
        assert loaded(service, "service.workers=4", **variables).service.workers == 4

    def test_the_last_of_two_flags_wins(self, service: Path) -> None:
        assert loaded(service, "service.workers=4", "service.workers=5").service.workers == 5

    @pytest.mark.parametrize(
        "flag",
        [
            'operations."GET /items/{id}".weight=7',
            "operations.GET /items/{id}.weight=7",  # what a shell leaves of the quotes
            "operations.get-items-id.weight=7",
            "operations . 'GET /items/{id}' . weight = 7",
        ],
    )
    def test_an_operation_may_be_named_with_or_without_quotes(
        self, service: Path, flag: str
    ) -> None:
        assert operation(loaded(service, flag), "GET /items/{id}").weight == 7

    def test_a_variable_names_an_operation_by_its_letters(self, service: Path) -> None:
        setup = loaded(service, LOADPATH_OPERATIONS__GET_ITEMS_ID__WEIGHT="7")
        assert operation(setup, "GET /items/{id}").weight == 7

    def test_a_flow_that_the_file_does_not_mention_can_be_overridden(self, service: Path) -> None:
        setup = loaded(service, LOADPATH_OPERATIONS__GET_ORDERS_MINE__WEIGHT="7")
        assert operation(setup, "GET /orders/mine").weight == 7

    def test_text_stays_text_where_text_is_wanted(self, service: Path) -> None:
        setup = loaded(service, "service.env.CODE=010", LOADPATH_SERVICE__ENV__MiXeD="1e3")
        assert setup.service.env["CODE"] == "010"
        assert setup.service.env["MiXeD"] == "1e3"

    def test_a_variable_of_the_service_keeps_its_case(self, service: Path) -> None:
        setup = loaded(service, LOADPATH_SERVICE__ENV__LOG_LEVEL="debug")
        assert setup.service.env["LOG_LEVEL"] == "debug"

    def test_tables_and_lists_are_written_as_toml(self, service: Path) -> None:
        setup = loaded(service, 'service.start=["a b", "{port}"]')
        assert setup.service.start == ("a b", "{port}")

    def test_choosing_users_drops_the_rate_of_the_file(self, service: Path) -> None:
        setup = loaded(service, "workload.arrivals.users=5", "workload.arrivals.think_time=1s")
        assert setup.workload.arrivals == ClosedArrivals(5, 1.0)

    def test_choosing_a_distribution_drops_that_of_the_file(self, service: Path) -> None:
        setup = loaded(service, "workload.keys.item.uniform=true")
        assert setup.workload.key_sets[0].distribution == "uniform"

    def test_a_variable_without_two_underscores_is_no_setting(self, service: Path) -> None:
        variables = {"LOADPATH_TRACEBACK": "1", "LOADPATH_": "x", "LOADPATH___": "x"}
        assert loaded(service, **variables) == loaded(service)
