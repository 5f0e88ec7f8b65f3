"""What clients ask when they start."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest
from messaging.settings import read_settings
from messaging.testing import Messaging
from systems_common.settings import SettingsError

VALIDITY = "/_matrix/client/v1/register/m.login.registration_token/validity"
NEEDED = {"DATABASE_URL": "postgresql://localhost/x", "WAKE": "poll"}


def test_credentials_for_calls_are_those_that_a_turn_server_takes(switched: Messaging) -> None:
    [[user]] = switched.users(1)
    given = user.ok("GET", "/voip/turnServer")
    assert given["uris"] == ["turn:turn.example.org?transport=udp", "turns:turn.example.org"]
    until, _, name = given["username"].partition(":")
    assert name == user.user_id
    assert abs(int(until) - time.time() - given["ttl"]) < 60
    mac = hmac.new(b"shared", given["username"].encode(), hashlib.sha1)
    assert base64.b64decode(given["password"]) == mac.digest()


def test_what_is_not_here_is_said_in_few_words(messaging: Messaging) -> None:
    [[user]] = messaging.users(1)
    assert user.ok("GET", "/voip/turnServer") == {}
    assert user.ok("GET", "/thirdparty/protocols") == {}
    assert user.ok("GET", "/account/3pid") == {"threepids": []}
    assert user.ok("GET", VALIDITY, token="any") == {"valid": False}


def test_addresses_of_turn_servers_need_the_secret() -> None:
    with pytest.raises(SettingsError, match="TURN_SECRET is not set"):
        read_settings({**NEEDED, "TURN_URIS": "turn:turn.example.org"})
    with pytest.raises(SettingsError, match="TURN_URIS"):
        read_settings({**NEEDED, "TURN_URIS": "turn.example.org", "TURN_SECRET": "shared"})
