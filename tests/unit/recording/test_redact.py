"""What must not reach the disk, and what must."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.recording.redact import (
    looks_secret,
    redact_command,
    redact_env,
    redact_setup,
    redact_text,
)
from loadpath.spec import (
    DeclaredRequest,
    Dependency,
    OpenArrivals,
    Operation,
    Service,
    Setup,
    Workload,
)

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.mark.parametrize(
    "name",
    [
        "DB_PASSWORD", "PGPASSWORD", "passwd", "API_KEY", "STRIPE_KEY", "apiKey", "clientSecret",
        "X-Api-Key", "Authorization", "Cookie", "Set-Cookie", "SENTRY_DSN", "AUTH", "access-token",
        "DB_PASS", "ADMIN_PWD", "--api-key", "JWT", "session_cookie", "SIGNING_KEYS",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    """In the spellings of environment variables, headers, flags and JSON fields."""
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    ["DB_POOL", "LOG_LEVEL", "PORT", "COMPASS", "KEYBOARD", "PATH", "AUTHOR", "SPIN", "WORKERS",
     "Content-Type", "bypass_cache", "KEY_COUNT", "design"],
)  # fmt: skip
def test_names_that_only_resemble_them(name: str) -> None:
    """A recording whose settings are all hidden explains nothing."""
    assert not looks_secret(name)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"password": "hunter2", "user": "ada"}', '{"password": "***", "user": "ada"}'),
        ('{"api_key":"abc","n":3}', '{"api_key":"***","n":3}'),
        (r"{\"token\": \"abc\"}", r"{\"token\": \"***\"}"),
        ("token=abc&page=2", "token=***&page=***"),
        ("Authorization: Bearer abcdef123456", "Authorization: ***"),
        ("sent Bearer abcdef123456 twice", "sent Bearer *** twice"),
        ("Cookie: sid=1; theme=dark", "Cookie: ***"),
        ("postgresql://app:hunter2@db:5432/shop", "postgresql://app:***@db:5432/shop"),
        ("redis://:hunter2@cache:6379/0", "redis://:***@cache:6379/0"),
        ("GET /search?q=my+illness&page=2", "GET /search?q=***&page=***"),
        ("no user ada@example.org", "no user ***"),
        (f"bad session {JWT}", "bad session ***"),
        ("order 7c9e6679-7425-40de-944b-e07fc1f90ae7 is gone", "order *** is gone"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "***"),
    ],
)
def test_secrets_in_a_reply_are_replaced(text: str, kept: str) -> None:
    """What stands around them stays, so that the reply can still be recognised."""
    assert redact_text(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "about:blank", "title": "Internal Server Error", "status": 500}',
        'relation "short_url_2026-11-22_v3" does not exist',
        "org.springframework.web.HttpMediaTypeNotSupportedException: text/plain",
        "QueuePool limit of size 10 overflow 0 reached, connection timed out, timeout 30.00",
        "/api/v1/orders-by-customer-and-month-v2 not found",
    ],
)
def test_messages_without_secrets_are_left_alone(text: str) -> None:
    """The start of a failing reply is often the best hint there is."""
    assert redact_text(text) == text


def test_known_secrets_go_wherever_they_stand() -> None:
    """The random passwords of embedded servers look like nothing in particular."""
    assert redact_text("user x, zebra was wrong", secrets=["zebra", ""]) == "user x, *** was wrong"


def test_control_characters_cannot_reach_a_terminal() -> None:
    """Neither escape sequences nor line ends nor direction overrides."""
    assert redact_text("a\x1b[31mred\r\nb\u202ec\x9bd") == "a [31mred b c d"


def test_a_cut_cannot_reveal_half_a_secret() -> None:
    """Redaction comes before the cut."""
    text = redact_text("x" * 150 + f" {JWT} " + "y" * 500)
    assert len(text) == 200
    assert JWT[:6] not in text
    assert text.endswith("…")


@given(st.text(max_size=3000), st.integers(10, 300))
def test_any_text_becomes_short_and_printable(text: str, limit: int) -> None:
    """Whatever a service sends."""
    redacted = redact_text(text, limit=limit)
    assert len(redacted) <= limit
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in redacted)


@pytest.mark.parametrize("unit", ["a", "a.", "a:", "a@", "-", "a=", '"a":"', "://", "&a="])
def test_hostile_text_takes_no_longer_than_plain_text(unit: str) -> None:
    """A reply made to stall a regular expression; the looked-at part is bounded too."""
    assert len(redact_text(unit * 50_000)) <= 200


def test_command_lines() -> None:
    """Flags with a value of their own, joined values, variables and headers; the rest stays."""
    assert redact_command(
        ("app", "--api-key", "abc", "--token=abc", "DB_PASSWORD=abc", "--port", "{port}")
    ) == ("app", "--api-key", "***", "--token=***", "DB_PASSWORD=***", "--port", "{port}")
    assert redact_command(("curl", "-H", "X-Api-Key: abc", "http://u:p@h/")) == (
        "curl", "-H", "X-Api-Key: ***", "http://u:***@h/",
    )  # fmt: skip
    assert redact_command(("sh", "-c", "A=1 TOKEN=abc exec app")) == (
        "sh", "-c", "A=1 TOKEN=*** exec app",
    )  # fmt: skip
    plain = ("granian", "--interface", "asgi", "auth.app:app", "--workers", "{workers}")
    assert redact_command(plain) == plain


def test_environment_keeps_placeholders() -> None:
    """A template says where a secret goes, not what it is."""
    env = {
        "DATABASE_URL": "postgresql://{user}:{password}@{host}:{port}/{name}",
        "PGPASSWORD": "{password}",
        "SECRET_KEY": "dev",
        "EMPTY_TOKEN": "",
        "BROKER": "amqp://guest:guest@mq/",
        "LICENSE": "4f9a1c77b2e84d6093ab",
        "MAIL": "smtp://ada:p@ss@mail/",
        "PG": "host={host} user=ada password=hunter2",
        "PG_TEMPLATE": "host={host} password={password}",
        "OPTIONS": '{"api_key":"abc","pool":5}',
    }
    assert redact_env(env) == {
        **env,
        "SECRET_KEY": "***",
        "BROKER": "amqp://guest:***@mq/",
        "LICENSE": "***",
        "MAIL": "smtp://ada:***@mail/",
        "PG": "host={host} user=ada password=***",
        "OPTIONS": '{"api_key":"***","pool":5}',
    }


def test_no_secret_of_a_setup_is_left() -> None:
    """Every place of a setup that can hold one."""
    secret = "zX9secretzX9"
    setup = Setup(
        service=Service(
            name="shop",
            directory=Path("/srv/shop"),
            start=("app", "--token", secret, f"--password={secret}", "--port", "{port}"),
            ready=f"GET /health?key={secret}",
            env={"API_KEY": secret, "BROKER": f"amqp://u:{secret}@mq/", "LOG_LEVEL": "info"},
            dependencies=(
                Dependency(
                    name="database",
                    kind="postgres",
                    env={"DATABASE_URL": f"postgresql://u:{secret}@h/d"},
                    url=f"postgresql://u:{secret}@h/d",
                    prepare=("migrate", "--password", secret),
                    seed=("seed", f"TOKEN={secret}"),
                    settings={"ssl_passphrase_command": secret, "work_mem": "4MB"},
                ),
            ),
        ),
        workload=Workload(
            arrivals=OpenArrivals(200.0),
            operations=(
                Operation(
                    name="POST /orders",
                    request=DeclaredRequest(
                        method="POST",
                        path=f"/orders?sig={secret}&id={{id}}",
                        headers=(("X-Api-Key", secret), ("Accept", "text/html")),
                        body=f'{{"note": "{secret}"}}',
                    ),
                ),
                Operation(name="a flow"),
            ),
        ),
    )
    redacted = redact_setup(setup)
    assert secret not in repr(redacted)
    assert redacted.service.env["LOG_LEVEL"] == "info"
    assert redacted.service.dependencies[0].settings["work_mem"] == "4MB"
    request = redacted.workload.operations[0].request
    assert request is not None
    assert request.path == "/orders?sig=***&id={id}"
    assert ("Accept", "text/html") in request.headers
