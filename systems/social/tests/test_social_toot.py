"""toot, the command line, drives the running service where somebody has installed it.

It is under the GPL, so it is no dependency of the tests: `pipx install toot` puts it on the PATH.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from mastodon import Mastodon
from social.testing import Social, Starter
from systems_common.testing import wait_until
from systems_common.testing.pictures import photo

PROGRAM = shutil.which("toot")
PASSWORD = "a long password"
SCOPES = ["read", "write", "follow"]

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="toot is not installed here: pipx install toot"
)


class Toot:
    """The program with a configuration of its own, as two accounts."""

    def __init__(self, social: Social, folder: Path) -> None:
        self._url = social.process.url
        self.host = urlsplit(self._url).netloc
        self._env = {**os.environ, "XDG_CONFIG_HOME": str(folder), "NO_COLOR": "1"}

    def register(self, name: str) -> None:
        """It cannot register anybody by itself."""
        client_id, secret = Mastodon.create_app("Tests", scopes=SCOPES, api_base_url=self._url)
        api = Mastodon(client_id=client_id, client_secret=secret, api_base_url=self._url)
        api.create_account(name, PASSWORD, f"{name}@mail.example", agreement=True, scopes=SCOPES)

    def log_in(self, name: str) -> str:
        """Go to the page that it names, allow what it asks, and give it the code."""
        with subprocess.Popen(
            [str(PROGRAM), "login", "--instance", self._url],
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if line.startswith("http"):
                    break
            query = {key: one[0] for key, one in parse_qs(urlsplit(line).query).items()}
            page = httpx.post(
                line.strip().partition("?")[0],
                data={**query, "username": name, "password": PASSWORD, "decision": "allow"},
            )
            code = re.search(r"<code>(.+?)</code>", page.text)
            assert code is not None, said + page.text
            rest, _ = process.communicate(f"n\n{html.unescape(code[1])}\n", timeout=60)
        assert process.returncode == 0, said + rest
        return rest

    def __call__(self, name: str, *arguments: str) -> str:
        """What it prints as that account."""
        done = subprocess.run(
            [str(PROGRAM), "--as", f"{name}@{self.host}", *arguments],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"toot {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, name: str, *arguments: str) -> Any:
        """The answer of the service that it passes on."""
        return json.loads(self(name, *arguments, "--json"))


@pytest.fixture(scope="module")
def toot(starter: Starter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toot]:
    # It goes to the addresses of Link headers as they are, so these must lead back.
    with starter(BASE_URL="http://127.0.0.1:{port}") as social:
        program = Toot(social, tmp_path_factory.mktemp("toot"))
        social.user("toot_cid")
        for name in ("toot_ann", "toot_bob"):
            program.register(name)
            assert "Successfully logged in" in program.log_in(name)
        assert "now following" in program("toot_bob", "follow", "toot_ann")
        yield program


def timeline(toot: Toot, name: str, *which: str) -> str:
    return toot(name, "timelines", *which, "--no-pager", "--no-clear")


def test_an_account_shows_itself_and_is_followed(toot: Toot) -> None:
    assert "toot_ann@127.0.0.1" in toot("toot_ann", "auth")
    assert "Social" in toot("toot_ann", "instance")
    changed = toot.json("toot_ann", "update-account", "--display-name", "Ann T.", "--note", "Hi")
    assert (changed["display_name"], changed["note"]) == ("Ann T.", "<p>Hi</p>")
    assert "Ann T." in toot("toot_bob", "whois", "toot_ann")
    assert "toot_bob" in toot("toot_ann", "followers", "toot_ann")


def test_a_picture_is_posted_and_stands_in_timelines(toot: Toot, tmp_path: Path) -> None:
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(photo(60, 40))
    post = toot.json(
        "toot_ann",
        *("post", "An okapi, for #toot", "--media", str(picture), "--description", "a slope"),
        *("--visibility", "public", "--language", "en"),
    )
    assert post["media_attachments"][0]["description"] == "a slope"
    wait_until(
        lambda: "An okapi" in timeline(toot, "toot_bob", "home"),
        timeout_s=20.0,
        what="the post at home",
    )
    assert "An okapi" in timeline(toot, "toot_bob", "public")
    assert "An okapi" in timeline(toot, "toot_bob", "tag", "toot")
    assert post["id"] in toot("toot_bob", "search", "okapi")


def test_a_status_is_answered_and_marked(toot: Toot) -> None:
    post = toot.json("toot_ann", "post", "A gecko")["id"]
    reply = toot.json("toot_bob", "post", "@toot_ann How nice", "--reply-to", post)["id"]
    assert "How nice" in toot("toot_ann", "thread", post)
    for verb in ("favourite", "reblog", "bookmark"):
        toot("toot_bob", verb, post)
    assert "A gecko" in toot("toot_bob", "bookmarks", "--once")
    toot("toot_bob", "unreblog", post)
    toot("toot_ann", "pin", post)
    toot("toot_bob", "delete", reply)
    seen = toot.json("toot_bob", "status", post)
    assert (seen["favourited"], seen["reblogged"], seen["replies_count"]) == (True, False, 0)


def test_notifications_are_shown_and_cleared(toot: Toot) -> None:
    post = toot.json("toot_ann", "post", "A newt")["id"]
    toot("toot_bob", "reblog", post)
    toot("toot_bob", "post", "@toot_ann look")
    shown = toot("toot_ann", "notifications")
    for said in ("mentioned you", "boosted your status", "now follows you"):
        assert said in shown, shown
    assert "boosted" not in toot("toot_ann", "notifications", "--type", "mention")
    toot("toot_ann", "notifications", "--clear")
    assert "look" not in toot("toot_ann", "notifications")


def test_lists_and_polls(toot: Toot) -> None:
    toot("toot_bob", "lists", "create", "Friends", "--replies-policy", "list")
    toot("toot_bob", "lists", "add", "Friends", "toot_ann")
    poll = toot.json(
        "toot_ann",
        *("post", "Which okapi?", "--poll-option", "the left one", "--poll-option", "the other"),
        *("--poll-expires-in", "10 minutes"),
    )["poll"]["id"]
    assert "the left one" in timeline(toot, "toot_bob", "list", "Friends")
    voted = toot.json("toot_bob", "polls", "vote", poll, "1")
    assert (voted["own_votes"], voted["options"][1]["votes_count"]) == ([1], 1)
    toot("toot_bob", "lists", "delete", "Friends")
    assert "Friends" not in toot("toot_bob", "lists", "list")


def test_accounts_are_muted_and_blocked(toot: Toot) -> None:
    toot("toot_bob", "mute", "toot_ann")
    assert "toot_ann" in toot("toot_bob", "muted")
    toot("toot_bob", "unmute", "toot_ann")
    # A block ends follows in both directions, so nobody follows here whom other tests need.
    toot("toot_ann", "block", "toot_cid")
    assert "toot_cid" in toot("toot_ann", "blocked")
    toot("toot_ann", "unblock", "@toot_cid@" + toot.host)


def test_a_locked_account_is_asked(toot: Toot) -> None:
    toot("toot_bob", "update-account", "--locked")
    asked = toot.json("toot_ann", "follow", "toot_bob")
    assert (asked["following"], asked["requested"]) == (False, True)
    assert "toot_ann" in toot("toot_bob", "follow-requests", "list")
    toot("toot_bob", "follow-requests", "accept", "toot_ann")
    assert "toot_bob" in toot("toot_ann", "following", "toot_ann")
