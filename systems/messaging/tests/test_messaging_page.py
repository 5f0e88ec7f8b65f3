"""The web page, over HTTP as any machine can test it and in Chromium where there is one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from messaging.testing import PASSWORD, SERVER_NAME, Messaging
from systems_common.testing.browser import Page, open_page

HOSTILE = "<img src=x onerror=\"document.title='caught'\">"


@pytest.fixture(scope="module")
def pages() -> Iterator[tuple[Page, Page]]:
    """Two browsers that know nothing of each other, one as large as a phone."""
    with open_page() as one, open_page() as other:
        one.screen(1200, 800)
        other.screen(390, 844)
        yield one, other


def opened(page: Page, service: Messaging, name: str) -> None:
    """The page as somebody sees it who has never been there."""
    page.open(f"{service.process.url}/?{name}")
    page.evaluate("localStorage.clear(), sessionStorage.clear()")
    page.open(f"{service.process.url}/?{name}-again")
    page.wait_for("document.activeElement.id === 'user'")


def filled(page: Page, form: str, **fields: str) -> None:
    """Fill in a form and send it off."""
    for name, value in fields.items():
        page.evaluate(f"document.getElementById({name.replace('_', '-')!r}).value = {value!r}")
    page.evaluate(f"document.getElementById({form!r}).requestSubmit()")


def click(page: Page, element: str) -> None:
    page.evaluate(f"document.getElementById({element!r}).click()")


def visible(element: str) -> str:
    return f"document.getElementById({element!r}).checkVisibility()"


def typed(page: Page, text: str) -> None:
    """Type into the composer, as the page hears of it, without sending."""
    page.evaluate(
        f"document.getElementById('text').value = {text!r},"
        " document.getElementById('text').dispatchEvent(new Event('input'))"
    )


def said(page: Page) -> list[str]:
    """The messages that are shown, in their order."""
    texts = "[...document.querySelectorAll('#events .bubble .text')].map((e) => e.textContent)"
    return list(page.evaluate(texts))


def wait_for_said(page: Page, last: str) -> None:
    page.wait_for(f"[...document.querySelectorAll('.text')].at(-1)?.textContent === {last!r}")


def test_the_page_loads_nothing_from_outside(switched: Messaging) -> None:
    reply = switched.client.get("/")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    found = re.findall(r'(?:src|href)="([^"#]+)"', reply.text)
    seen: set[str] = set()
    while found:
        address = found.pop()
        assert address.startswith("/-/"), address
        if address in seen:
            continue
        seen.add(address)
        file = switched.client.get(address)
        assert file.status_code == 200
        assert "immutable" in file.headers["cache-control"]
        assert file.headers["content-security-policy"] == policy
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", file.text)
        found += re.findall(r'from "([^"]+)"', file.text)
    assert len(seen) > 10
    assert switched.client.get("/-/other.js").status_code == 404
    assert "no-cache" in switched.client.get("/-/page.js?v=old").headers["cache-control"]


def test_without_the_setting_there_is_no_page(messaging: Messaging) -> None:
    for path in ("/", "/-/page.js"):
        reply = messaging.client.get(path)
        assert (reply.status_code, reply.json()["errcode"]) == (404, "M_UNRECOGNIZED")


def test_two_people_talk_in_two_browsers(switched: Messaging, pages: tuple[Page, Page]) -> None:
    alice, bob = pages
    for page, name in ((alice, "page-alice"), (bob, "page-bob")):
        opened(page, switched, name)
        click(page, "mode-up")
        filled(page, "door-form", user=name, password=PASSWORD)
        page.wait_for(visible("no-rooms"))

    filled(alice, "make", make_name="Garden <b>party</b>", make_who="page-bob")
    alice.wait_for(visible("room"))
    bob.wait_for("document.querySelector('#rooms b')?.textContent === 'Garden <b>party</b>'")
    bob.evaluate("document.querySelector('#rooms a').click()")
    bob.wait_for(visible("accept"))
    click(bob, "accept")
    bob.wait_for(visible("room"))
    alice.wait_for("document.getElementById('room-about').textContent === '2 people'")
    alice.wait_for("document.querySelector('#room-face .dot')?.title === 'online'")

    typed(bob, "Saturday")
    alice.wait_for(
        "document.getElementById('typing').textContent === 'page-bob is typing…'"
        " && document.querySelector('#rooms .about').textContent === 'page-bob is typing…'"
    )
    filled(bob, "composer")
    wait_for_said(alice, "Saturday")
    # Bob goes back to the list, which is all that a phone shows then.
    bob.evaluate("location.hash = ''")
    bob.wait_for(f"!{visible('main')} && {visible('side')}")
    filled(alice, "composer", text=HOSTILE)
    filled(alice, "composer", text="@page-bob,\nare you there?")
    bob.wait_for(
        "[...document.querySelectorAll('#rooms .badge')].map((e) => e.title).join()"
        " === '1 for you,2 unread'"
    )
    assert bob.evaluate("document.title") == "(2) Messages"
    last_tick = "[...document.querySelectorAll('.own .tick')].at(-1)?.getAttribute('aria-label')"
    alice.wait_for(f"{last_tick} === 'Sent'")
    bob.evaluate("document.querySelector('#rooms a').click()")
    alice.wait_for(f"{last_tick} === 'Read by page-bob'")
    bob.wait_for("!document.querySelector('#rooms .badge') && document.title === 'Messages'")
    expected = ["Saturday", HOSTILE, "@page-bob,\nare you there?"]
    assert said(alice) == said(bob) == expected
    assert bob.evaluate("document.querySelectorAll('#events img').length") == 0

    for page in pages:
        assert page.evaluate(_NAMELESS) == []
    for width in (320, 390, 1200):
        bob.screen(width, 800)
        assert bob.evaluate("document.documentElement.scrollWidth") <= width
    bob.screen(390, 844)

    bob.evaluate(_CHOOSE_A_PICTURE)
    alice.wait_for("document.querySelector('#events .image img')?.naturalWidth === 60")
    assert alice.evaluate("document.querySelector('#events .image img').height") == 40

    click(bob, "people-open")
    bob.wait_for("document.querySelectorAll('#members li').length === 2")
    click(bob, "leave")
    click(bob, "leave")
    bob.wait_for(visible("no-rooms"))
    alice.wait_for("[...document.querySelectorAll('.line')].at(-1).textContent === 'page-bob left'")
    click(alice, "people-open")
    filled(alice, "invite", invite_user="page-bob")
    bob.wait_for(
        "document.querySelector('#rooms .about')?.textContent === 'page-alice invites you'"
    )
    bob.evaluate("document.querySelector('#rooms a').click()")
    bob.wait_for(visible("decline"))
    click(bob, "decline")
    bob.wait_for(visible("no-rooms"))

    token = alice.evaluate("JSON.parse(localStorage['messaging-session']).access_token")
    assert alice.complaints == bob.complaints == []
    click(alice, "sign-out")
    alice.wait_for(visible("door"))
    assert alice.evaluate("localStorage.length + sessionStorage.length") == 0
    headers = {"Authorization": f"Bearer {token}"}
    ended = switched.client.get("/_matrix/client/v3/account/whoami", headers=headers)
    assert ended.json()["errcode"] == "M_UNKNOWN_TOKEN"


def test_what_was_missed_is_told_and_nothing_is_sent_twice(
    switched: Messaging, pages: tuple[Page, Page]
) -> None:
    page, _ = pages
    carol, dave = switched.user("page-carol"), switched.user("page-dave")
    room = dave.create_room(preset="public_chat", name="Long")
    carol.join(room)
    secret = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    hidden = dave.create_room(preset="public_chat", name="Hidden", initial_state=[secret])
    carol.join(hidden)
    dave.ok("PUT", f"/rooms/{hidden}/send/m.room.encrypted/1", {"ciphertext": "…"})
    opened(page, switched, "carol")
    filled(page, "door-form", user="page-carol", password="wrong")
    page.wait_for(visible("door-notice"))
    filled(page, "door-form", user="page-carol", password=PASSWORD)
    page.wait_for(f"document.querySelectorAll('#rooms li').length === 2 && !{visible('door')}")

    # What cannot be read is not answered in the clear.
    page.evaluate(f"location.hash = '#/{quote(hidden, safe='')}'")
    wait_for_said(page, " Encrypted message")
    assert page.evaluate(visible("no-writing"))
    assert not page.evaluate(visible("composer"))
    page.evaluate(f"location.hash = '#/{quote(room, safe='')}'")
    page.wait_for("document.getElementById('room-name').textContent === 'Long'")

    # The answer to a message is lost, and nobody knows whether it arrived.
    page.evaluate(_LOSE_ONE_ANSWER)
    filled(page, "composer", text="once")
    page.wait_for("window.lost && !!document.querySelector('.own .tick.sent')")

    page.call("Network.enable")
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.call("Network.emulateNetworkConditions", offline=True, **offline)
    # The poll that is under way may still be answered; the next one is not.
    dave.send(room, "0")
    page.wait_for(visible("link"))
    for n in range(1, 60):
        dave.send(room, f"{n}")
    filled(page, "composer", text="while away")
    page.wait_for("!!document.querySelector('.own .tick.wait')")
    assert said(page) in (["once", "while away"], ["once", "0", "while away"])
    page.call("Network.emulateNetworkConditions", offline=False, **offline)
    page.wait_for(f"!document.querySelector('.own .tick.wait') && !{visible('link')}")
    wait_for_said(page, "while away")
    # Scrolling up fills the gap, to the beginning.
    page.wait_for(
        "document.getElementById('timeline').scrollTop = 0,"
        " document.getElementById('beginning').textContent.includes('begins')"
    )
    assert said(page) == ["once", *(f"{n}" for n in range(60)), "while away"]
    page.complaints.clear()

    # Signed out elsewhere: the page notices with the next request, and what was not sent is kept.
    page.call("Network.emulateNetworkConditions", offline=True, **offline)
    filled(page, "composer", text="too late")
    page.wait_for("!!document.querySelector('.own .tick.wait')")
    switched.login(carol).ok("POST", "/logout/all", {})
    page.call("Network.emulateNetworkConditions", offline=False, **offline)
    page.wait_for(visible("door"))
    assert page.evaluate("document.getElementById('door-notice').textContent") == (
        "You were signed out."
    )
    filled(page, "door-form", user="page-carol", password=PASSWORD)
    page.wait_for("!!document.querySelector('.problem [data-drop]')")
    page.evaluate("document.querySelector('.problem [data-retry]').click()")
    page.wait_for("!document.querySelector('.problem') && !!document.querySelector('.tick.sent')")
    sent = switched.sql("SELECT content FROM event WHERE sender = $1", f"@page-carol:{SERVER_NAME}")
    bodies = [json.loads(row["content"]).get("body") for row in sent]
    assert sorted(filter(None, bodies)) == ["once", "too late", "while away"]


_LOSE_ONE_ANSWER = """
(() => {
  const whole = window.fetch;
  window.fetch = async (address, options) => {
    const reply = await whole(address, options);
    if (window.lost || !address.includes('/send/')) return reply;
    window.lost = true;
    throw new TypeError('lost');
  };
})()
"""
_CHOOSE_A_PICTURE = """
(async () => {
  const canvas = new OffscreenCanvas(60, 40);
  canvas.getContext('2d').fillRect(0, 0, 30, 40);
  const chosen = new DataTransfer();
  chosen.items.add(new File([await canvas.convertToBlob()], 'half.png', { type: 'image/png' }));
  const input = document.getElementById('picture');
  input.files = chosen.files;
  input.dispatchEvent(new Event('change'));
})()
"""
_NAMELESS = """
[...document.querySelectorAll('button, a[href], input, textarea, img')]
  .filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label') || e.hasAttribute('alt')
    || (e.labels && e.labels.length)))
  .map((e) => e.outerHTML)
"""
