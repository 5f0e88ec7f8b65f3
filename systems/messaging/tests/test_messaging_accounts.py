"""Signing up, in and out, devices, filters, and what is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from messaging.testing import PASSWORD, Messaging, User
from systems_common.testing import wait_until

CLIENT = "/_matrix/client/v3"
DUMMY = {"type": "m.login.dummy"}


def code_of(reply: httpx.Response) -> tuple[int, str | None]:
    body = reply.json()
    assert body.get("error") is None or body["error"]
    return reply.status_code, body.get("errcode")


def shown(user: User, password: str = PASSWORD, session: str | None = None) -> dict[str, Any]:
    return {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user.user_id},
        "password": password,
        "session": session,
    }


def test_what_is_spoken(messaging: Messaging) -> None:
    versions = messaging.client.get("/_matrix/client/versions")
    assert "v1.11" in versions.json()["versions"]
    assert versions.headers["access-control-allow-origin"] == "*"
    flows = messaging.client.get(f"{CLIENT}/login").json()["flows"]
    assert flows == [{"type": "m.login.password"}]
    capabilities = messaging.user().ok("GET", "/capabilities")["capabilities"]
    assert capabilities["m.room_versions"]["default"] == "10"
    preflight = messaging.client.options(f"{CLIENT}/sync")
    assert preflight.status_code == 200
    assert "Authorization" in preflight.headers["access-control-allow-headers"]


def test_registration_asks_for_a_stage(messaging: Messaging) -> None:
    body = {"username": "staged", "password": PASSWORD}
    asked = messaging.client.post(f"{CLIENT}/register", json=body)
    assert asked.status_code == 401
    assert asked.json()["flows"] == [{"stages": ["m.login.dummy"]}]
    auth = {**DUMMY, "session": asked.json()["session"]}
    done = messaging.client.post(f"{CLIENT}/register", json={**body, "auth": auth})
    assert done.json()["user_id"] == "@staged:example.org"
    again = messaging.client.post(f"{CLIENT}/register", json={**body, "auth": auth})
    assert code_of(again) == (400, "M_USER_IN_USE")
    taken = messaging.client.get(f"{CLIENT}/register/available?username=staged")
    assert code_of(taken) == (400, "M_USER_IN_USE")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"username": "Upper"}, "M_INVALID_USERNAME"),
        ({"username": "a b"}, "M_INVALID_USERNAME"),
        ({"username": "x" * 300}, "M_INVALID_USERNAME"),
        ({"username": 5}, "M_BAD_JSON"),
        ({"password": ""}, "M_WEAK_PASSWORD"),
        ({"password": 5}, "M_MISSING_PARAM"),
    ],
)
def test_registrations_that_are_refused(
    messaging: Messaging, body: dict[str, Any], code: str
) -> None:
    given = {"username": "refused", "password": PASSWORD, "auth": DUMMY, **body}
    assert code_of(messaging.client.post(f"{CLIENT}/register", json=given)) == (400, code)


def test_login_and_logout(messaging: Messaging) -> None:
    user = messaging.user()
    phone = messaging.login(user, device_id="PHONE", initial_device_display_name="my phone")
    assert phone.ok("GET", "/account/whoami")["device_id"] == "PHONE"
    devices = {d["device_id"]: d["display_name"] for d in phone.ok("GET", "/devices")["devices"]}
    assert devices == {user.device_id: None, "PHONE": "my phone"}
    # The same device again: its earlier token ends.
    again = messaging.login(user, device_id="PHONE")
    assert code_of(phone.call("GET", "/account/whoami")) == (401, "M_UNKNOWN_TOKEN")
    again.ok("POST", "/logout")
    assert code_of(again.call("GET", "/account/whoami")) == (401, "M_UNKNOWN_TOKEN")
    other = messaging.login(user)
    user.ok("POST", "/logout/all")
    for gone in (user, other):
        wait_until(
            lambda gone=gone: gone.call("GET", "/account/whoami").status_code == 401,
            timeout_s=3.0,
            what="the token to end",
        )


def test_wrong_passwords_are_refused_and_then_limited(messaging: Messaging) -> None:
    user = messaging.user()
    wrong = shown(user, "wrong")
    codes = [code_of(messaging.client.post(f"{CLIENT}/login", json=wrong)) for _ in range(11)]
    assert codes == [(403, "M_FORBIDDEN")] * 10 + [(429, "M_LIMIT_EXCEEDED")]
    limited = messaging.client.post(f"{CLIENT}/login", json=shown(user))
    assert code_of(limited) == (429, "M_LIMIT_EXCEEDED")
    assert 0 < limited.json()["retry_after_ms"] <= 60_000
    nobody = {**wrong, "identifier": {"type": "m.id.user", "user": "nobody-at-all"}}
    assert code_of(messaging.client.post(f"{CLIENT}/login", json=nobody)) == (403, "M_FORBIDDEN")


def test_tokens_are_refreshed(messaging: Messaging) -> None:
    user = messaging.user()
    given = messaging.client.post(
        f"{CLIENT}/login", json={**shown(user), "refresh_token": True}
    ).json()
    assert given["expires_in_ms"] == 3_600_000
    first = User(messaging.client, user.user_id, given["access_token"], given["device_id"])
    first.ok("GET", "/account/whoami")

    def refreshed() -> User:
        answer = messaging.client.post(
            f"{CLIENT}/refresh", json={"refresh_token": given["refresh_token"]}
        ).json()
        return User(messaging.client, user.user_id, answer["access_token"], given["device_id"])

    # An answer that was lost is asked for again; the old token lives until a new one is used.
    lost, second = refreshed(), refreshed()
    first.ok("GET", "/account/whoami")
    assert code_of(lost.call("GET", "/account/whoami")) == (401, "M_UNKNOWN_TOKEN")
    second.ok("GET", "/account/whoami")
    wait_until(
        lambda: first.call("GET", "/account/whoami").status_code == 401,
        timeout_s=3.0,
        what="the old token to end",
    )
    used = messaging.client.post(
        f"{CLIENT}/refresh", json={"refresh_token": given["refresh_token"]}
    )
    assert code_of(used) == (401, "M_UNKNOWN_TOKEN")
    messaging.sql(
        "UPDATE access_token SET expires_at = now() WHERE device_no IN "
        "(SELECT no FROM device WHERE device_id = $1)",
        second.device_id,
    )


def test_an_expired_token_says_that_it_may_be_refreshed(messaging: Messaging) -> None:
    user = messaging.user()
    given = messaging.client.post(
        f"{CLIENT}/login", json={**shown(user), "refresh_token": True}
    ).json()
    messaging.sql(
        "UPDATE access_token SET expires_at = now() FROM device WHERE device.no = device_no"
        " AND device_id = $1",
        given["device_id"],
    )
    late = User(messaging.client, user.user_id, given["access_token"], "")
    reply = late.call("GET", "/account/whoami")
    assert code_of(reply) == (401, "M_UNKNOWN_TOKEN")
    assert reply.json()["soft_logout"] is True


def test_a_new_password_takes_the_old_one_and_ends_other_devices(messaging: Messaging) -> None:
    user = messaging.user()
    other = messaging.login(user)
    body: dict[str, Any] = {"new_password": "another"}
    asked = user.call("POST", "/account/password", body)
    assert (asked.status_code, asked.json()["flows"]) == (401, [{"stages": ["m.login.password"]}])
    session = asked.json()["session"]
    wrong = user.call("POST", "/account/password", {**body, "auth": shown(user, "no", session)})
    assert code_of(wrong) == (401, "M_FORBIDDEN")
    assert wrong.json()["session"] == session
    user.ok("POST", "/account/password", {**body, "auth": shown(user, session=session)})
    wait_until(
        lambda: other.call("GET", "/account/whoami").status_code == 401,
        timeout_s=3.0,
        what="the other device to end",
    )
    user.ok("GET", "/account/whoami")
    assert code_of(messaging.client.post(f"{CLIENT}/login", json=shown(user)))[0] == 403
    messaging.login(user, password="another")


def test_devices_are_renamed_and_deleted_with_the_password(messaging: Messaging) -> None:
    user = messaging.user()
    other = messaging.login(user, device_id="OTHER")
    user.ok("PUT", "/devices/OTHER", {"display_name": "old phone"})
    assert user.ok("GET", "/devices/OTHER")["display_name"] == "old phone"
    assert code_of(user.call("GET", "/devices/NONE")) == (404, "M_NOT_FOUND")
    assert user.call("DELETE", "/devices/OTHER", {}).status_code == 401
    user.ok("DELETE", "/devices/OTHER", {"auth": shown(user)})
    assert code_of(other.call("GET", "/account/whoami")) == (401, "M_UNKNOWN_TOKEN")
    more = messaging.login(user)
    user.ok("POST", "/delete_devices", {"devices": [more.device_id], "auth": shown(user)})
    assert len(user.ok("GET", "/devices")["devices"]) == 1


def test_filters_are_kept(messaging: Messaging) -> None:
    user, other = messaging.user(), messaging.user()
    content = {"room": {"timeline": {"limit": 5}}}
    path = f"/user/{user.user_id}/filter"
    kept = user.ok("POST", path, content)["filter_id"]
    assert user.ok("POST", path, content)["filter_id"] == kept
    assert user.ok("POST", path, {})["filter_id"] != kept
    assert user.ok("GET", f"{path}/{kept}") == content
    assert code_of(user.call("GET", f"{path}/99")) == (404, "M_NOT_FOUND")
    assert code_of(user.call("GET", f"{path}/x")) == (404, "M_NOT_FOUND")
    assert code_of(other.call("POST", path, content)) == (403, "M_FORBIDDEN")
    assert code_of(user.call("POST", path, {"room": 5})) == (400, "M_BAD_JSON")
    large = {"room": {"rooms": ["x" * 70_000]}}
    assert code_of(user.call("POST", path, large)) == (413, "M_TOO_LARGE")


def test_profiles_reach_rooms(messaging: Messaging) -> None:
    user = messaging.user()
    room = user.create_room()
    user.ok("PUT", f"/profile/{user.user_id}/displayname", {"displayname": "Ann"})
    assert user.ok("GET", f"/profile/{user.user_id}")["displayname"] == "Ann"
    joined = user.ok("GET", f"/rooms/{room}/joined_members")["joined"]
    assert joined[user.user_id]["display_name"] == "Ann"
    found = user.ok("POST", "/user_directory/search", {"search_term": "ann"})["results"]
    assert user.user_id in {one["user_id"] for one in found}
    other = messaging.user()
    path = f"/profile/{user.user_id}/displayname"
    assert code_of(other.call("PUT", path, {"displayname": "x"})) == (403, "M_FORBIDDEN")


@pytest.mark.parametrize(
    ("method", "path", "content", "expected"),
    [
        ("GET", "/nowhere", b"", (404, "M_UNRECOGNIZED")),
        ("GET", f"{CLIENT}/rooms/x/knock", b"", (404, "M_UNRECOGNIZED")),
        ("PATCH", f"{CLIENT}/sync", b"", (405, "M_UNRECOGNIZED")),
        ("POST", f"{CLIENT}/createRoom", b"{", (400, "M_NOT_JSON")),
        ("POST", f"{CLIENT}/createRoom", b"[]", (400, "M_BAD_JSON")),
        ("POST", f"{CLIENT}/createRoom", b"[" * 100_000, (400, "M_NOT_JSON")),
        ("POST", f"{CLIENT}/createRoom", b"\xff", (400, "M_NOT_JSON")),
        ("POST", f"{CLIENT}/createRoom", b'{"name":5}', (400, "M_BAD_JSON")),
        ("POST", f"{CLIENT}/createRoom", b" " * 1_100_000, (413, "M_TOO_LARGE")),
        ("GET", f"{CLIENT}/sync?since=abc", b"", (400, "M_INVALID_PARAM")),
        ("GET", f"{CLIENT}/sync?timeout=x", b"", (400, "M_INVALID_PARAM")),
        ("GET", f"{CLIENT}/sync?filter=7", b"", (404, "M_NOT_FOUND")),
        ("GET", f"{CLIENT}/rooms/%FF/state", b"", (400, "M_INVALID_PARAM")),
    ],
)
def test_what_is_wrong_is_said(
    messaging: Messaging, method: str, path: str, content: bytes, expected: tuple[int, str]
) -> None:
    user = messaging.user() if not hasattr(test_what_is_wrong_is_said, "user") else None
    if user is not None:
        test_what_is_wrong_is_said.user = user  # type: ignore[attr-defined]
    token = test_what_is_wrong_is_said.user.token  # type: ignore[attr-defined]
    reply = messaging.client.request(
        method, path, content=content, headers={"Authorization": f"Bearer {token}"}
    )
    assert code_of(reply) == expected


def test_health_says_what_is_there(messaging: Messaging) -> None:
    health = messaging.client.get("/health").json()
    assert health["status"] == "pass"
    parts = ("database", "cache", "broker", "media")
    assert health["checks"] == dict.fromkeys(parts, "pass")
