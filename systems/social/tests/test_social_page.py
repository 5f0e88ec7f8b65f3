"""The web page and the public pages, over HTTP and in Chromium where there is one."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from social.api import endpoints_with
from social.errors import ApiError
from social.settings import read_settings
from social.testing import Social, User
from social.web.routing import Router
from systems_common.testing.browser import Page, open_page
from systems_common.testing.pictures import photo

PASSWORD = "a long password"
SCRIPT = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"


def register(social: Social, name: str) -> User:
    """An account with a password, made as apps make one."""
    app = social.client.post(
        "/api/v1/apps",
        json={"client_name": "T", "redirect_uris": "https://t.example", "scopes": "read write"},
    ).json()
    pair = {name: app[name] for name in ("client_id", "client_secret")}
    asked = {**pair, "grant_type": "client_credentials", "scope": "read write"}
    of_app = social.client.post("/oauth/token", json=asked).json()["access_token"]
    made = social.client.post(
        "/api/v1/accounts",
        json={
            "username": name,
            "email": f"{name}@mail.example",
            "password": PASSWORD,
            "agreement": True,
        },
        headers={"Authorization": f"Bearer {of_app}"},
    ).json()
    number = social.sql("SELECT id FROM account WHERE username = $1", name)[0][0]
    return User(social.process.url, number, name, made["access_token"])


def test_the_pages_load_nothing_from_outside(social: Social) -> None:
    author = social.user()
    status = author.write("words")
    front = social.client.get("/")
    assert (front.status_code, front.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = front.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy and "http" not in policy
    addresses = re.findall(r'(?:src|href)="([^"#][^"]*)"', front.text)
    modules = [one for one in addresses if one.startswith("/-/page.js")]
    assert modules
    # Scripts import others, by addresses that change with their content as well.
    imports = re.findall(r'from "\./([^"]+)"', social.client.get(modules[0]).text)
    assert imports
    for address in {*addresses, *(f"/-/{one}" for one in imports)} - {"/"}:
        assert address.startswith("/-/")
        asset = social.client.get(address)
        assert asset.status_code == 200
        assert "immutable" in asset.headers["cache-control"]
        assert "script-src 'none'" in asset.headers["content-security-policy"]
        assert not re.search(r"(?:https?:)?//(?!www\.w3\.org)[a-z]", asset.text)
    assert social.client.get("/-/other.js").status_code == 404
    assert "no-cache" in social.client.get("/-/page.js?v=old").headers["cache-control"]
    for path in (f"/@{author.name}", f"/@{author.name}/{status['id']}", "/@nobody"):
        page = social.client.get(path)
        assert "script-src 'none'" in page.headers["content-security-policy"]
        assert "<script" not in page.text


def test_public_pages_show_what_anybody_may_see_and_no_more(social: Social) -> None:
    author, reader = social.user(), social.user()
    reader.post(f"/accounts/{author.id}/follow")
    author.call(
        "PATCH",
        "/api/v1/accounts/update_credentials",
        json={"display_name": "<b>N</b>", "note": SCRIPT},
    )
    written = {
        name: author.write(f"{name} words of {SCRIPT} #paged_{author.name}", visibility=name)
        for name in ("public", "unlisted", "private")
    }
    written["direct"] = author.write(f"direct words @{reader.name}", visibility="direct")
    answers = {
        name: reader.write(
            f"{name} answer", visibility=name, in_reply_to_id=written["public"]["id"]
        )
        for name in ("public", "private")
    }
    share = reader.post(f"/statuses/{written['public']['id']}/reblog")

    def page(path: str, status: int = 200, token: str = "") -> str:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        reply = social.client.get(path, headers=headers)
        assert reply.status_code == status, path
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert "<script" not in reply.text and "<img src=x" not in reply.text
        return reply.text

    home = f"/@{author.name}"
    # Whoever asks: not even with the author's token does a public page show more.
    for token in ("", author.token):
        found = page(home, token=token)
        assert "public words of &lt;script&gt;" in found
        assert "&lt;b&gt;N&lt;/b&gt;" in found and "<b>N</b>" not in found
        for hidden in ("unlisted words", "private words", "direct words"):
            assert hidden not in found
    assert page(f"/@{author.name.upper()}") == page(home)
    tagged = page(f"/tags/paged_{author.name}")
    assert "public words" in tagged and "unlisted words" not in tagged

    def path_of(status: Any) -> str:
        return str(status["url"]).removeprefix("https://social.example")

    alone = page(path_of(written["public"]))
    assert "public words" in alone and "public answer" in alone
    assert "private answer" not in alone
    # Who has the address of an unlisted one has been given it.
    assert "unlisted words" in page(path_of(written["unlisted"]))
    for name in ("private", "direct"):
        for token in ("", author.token):
            assert "words" not in page(path_of(written[name]), 404, token)
    page(path_of(answers["private"]), 404)
    for wrong in (
        f"/@{reader.name}/{written['public']['id']}",
        f"/@{author.name}/1",
        f"/@{author.name}/x",
        "/@nobody_of_that_name",
        "/tags/12",
    ):
        page(wrong, 404)
    moved = social.client.get(path_of(share))
    assert (moved.status_code, moved.headers["location"]) == (302, path_of(written["public"]))
    author.call("DELETE", f"/api/v1/statuses/{written['public']['id']}")
    page(path_of(written["public"]), 404)
    assert "public words" not in page(home)


def test_public_pages_escape_what_is_not_the_text_itself(social: Social) -> None:
    author = social.user()
    quoted = "\"><script>alert('x')</script>"
    escaped = "&quot;&gt;&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;"
    picture = author.call(
        "POST",
        "/api/v2/media",
        files={"file": ("p.jpg", photo(80, 60))},
        data={"description": quoted},
    )
    author.write("behind", spoiler_text=quoted, media_ids=[picture["id"]])
    author.write("asked", poll={"options": [quoted, "No"], "expires_in": 3600})
    field = {"name": quoted, "value": quoted}
    author.call("PATCH", "/api/v1/accounts/update_credentials", json={"fields_attributes": [field]})
    page = social.client.get(f"/@{author.name}").text
    assert "<script" not in page
    # As a warning, a description, an option, and twice in the field of the profile.
    assert page.count(escaped) == 5
    assert f"<summary>{escaped}</summary>" in page and f'alt="{escaped}"' in page
    # From where the page came, whatever BASE_URL is.
    assert 'src="/media/' in page and "https://social.example" not in page


def test_public_pages_lead_to_older_ones(social: Social) -> None:
    author = social.user()
    for number in range(21):
        author.write(f"number {number:02d}")
    first = social.client.get(f"/@{author.name}").text
    assert "number 20" in first and "number 00" not in first
    older = re.findall(r'href="([^"]+)" rel="next"', first)
    second = social.client.get(older[0]).text
    assert "number 00" in second and "number 20" not in second
    assert 'rel="next"' not in second


@pytest.mark.parametrize("path", ["/", "/@name", "/@name/1", "/@name/1/reblogs/2", "/tags/x"])
def test_without_the_setting_there_are_no_pages(path: str) -> None:
    settings = {"DATABASE_URL": "postgresql://", "TIMELINE_CACHE": "off"}
    with_pages, without = (
        Router(endpoints_with(read_settings({**settings, "WEB_PAGE": is_on})))
        for is_on in ("true", "false")
    )
    assert with_pages.find("GET", path)[0].who == "anyone"
    with pytest.raises(ApiError) as raised:
        without.find("GET", path)
    assert raised.value.status == 404
    # The consent page is there, and looks as it does.
    assert without.find("GET", "/-/page.css")


def click(page: Page, selector: str) -> None:
    page.evaluate(f"document.querySelector({json.dumps(selector)}).click()")


def write(page: Page, identifier: str, text: str) -> None:
    page.evaluate(f"document.getElementById({identifier!r}).value = {json.dumps(text)}")


def sign_in(page: Page, user: User, password: str = PASSWORD) -> None:
    """Through the consent page, as people do."""
    click(page, "#enter")
    page.wait_for("location.pathname === '/oauth/authorize' && document.readyState === 'complete'")
    write(page, "username", user.name)
    write(page, "password", password)
    click(page, "button[value=allow]")


def texts(page: Page) -> list[str]:
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('#list .content')].map((one) => one.textContent)"
    )
    return found


def test_a_day_on_the_page(social: Social) -> None:
    ann, bob = register(social, "first_page"), register(social, "other_page")
    first = bob.write("number 00")["id"]
    for number in range(1, 22):
        bob.write(f"number {number:02d}")
    with open_page() as page:
        page.screen(390, 844)
        page.open(social.process.url + "/")
        page.wait_for("!document.getElementById('out').hidden")

        sign_in(page, ann, "wrong")
        page.wait_for("!!document.querySelector('[role=alert]')")
        page.complaints.clear()  # The browser itself notes the 401.
        write(page, "username", ann.name)
        write(page, "password", PASSWORD)
        click(page, "button[value=allow]")
        page.wait_for("document.getElementById('live')?.classList.contains('on')")
        page.wait_for("!document.getElementById('empty').hidden")
        assert page.evaluate("location.search") == ""

        # Nobody is followed yet; among what everybody writes somebody is found.
        click(page, "#tab-public")
        page.wait_for(f"!!document.querySelector('#list .who[href=\"/@{bob.name}\"]')")
        click(page, f'#list .who[href="/@{bob.name}"]')
        page.wait_for("document.querySelector('.follow')?.textContent === 'Follow'")
        click(page, ".follow")
        page.wait_for("document.querySelector('.follow').textContent === 'Unfollow'")
        click(page, "#tab-home")
        page.wait_for("!document.querySelector('.profile')")
        page.wait_for("document.querySelectorAll('#list article').length === 20")
        click(page, "#older")
        page.wait_for("document.querySelectorAll('#list article').length === 22")
        assert texts(page)[-1] == "number 00"
        assert page.evaluate("document.getElementById('older').hidden")

        # What one writes is text, whatever it looks like, and goes to whom it is for.
        write(page, "text", f"Mine: {SCRIPT} https://example.com/x")
        click(page, "#warn")
        write(page, "warning", "Of <i>interest</i>")
        write(page, "visibility", "private")
        click(page, "#send")
        page.wait_for("document.querySelectorAll('#list article').length === 23")
        assert texts(page)[0] == f"Mine: {SCRIPT} example.com/x"
        assert page.evaluate("document.querySelector('#list summary').textContent") == (
            "Of <i>interest</i>"
        )
        assert page.evaluate("document.querySelectorAll('#list script, #list i').length") == 0
        mine = ann.get(f"/accounts/{ann.id}/statuses")[0]
        assert (mine["visibility"], mine["spoiler_text"]) == ("private", "Of <i>interest</i>")
        assert social.client.get(f"/@{ann.name}/{mine['id']}").status_code == 404

        # A picture goes with its description.
        page.evaluate(_CHOOSE_A_PICTURE)
        page.wait_for("document.querySelectorAll('#chosen input').length === 1")
        page.evaluate("document.querySelector('#chosen input').value = 'A <dot>'")
        page.evaluate("document.querySelector('#chosen input').dispatchEvent(new Event('input'))")
        click(page, "#send")
        page.wait_for("document.querySelector('#list .pictures img')?.naturalWidth > 0")
        picture = ann.get(f"/accounts/{ann.id}/statuses")[0]["media_attachments"][0]
        assert picture["description"] == "A <dot>"

        # Others are heard of at once, and what they take back goes.
        live = bob.write(f"Live {SCRIPT}")["id"]
        page.wait_for("document.querySelectorAll('#list article').length === 25")
        assert texts(page)[0] == f"Live {SCRIPT}"
        bob.call("DELETE", f"/api/v1/statuses/{live}")
        page.wait_for("document.querySelectorAll('#list article').length === 24")

        # Favourite, share, and answer the oldest.
        post = f'[data-id="{first}"]'
        click(page, f"{post} .favourite")
        page.wait_for(f"""!!document.querySelector('{post} .favourite[aria-pressed="true"]')""")
        click(page, f"{post} .share")
        page.wait_for(f"""!!document.querySelector('{post} .share[aria-pressed="true"]')""")
        click(page, f"{post} .reply")
        assert page.evaluate("document.getElementById('text').value") == f"@{bob.name} "
        write(page, "text", f"@{bob.name} An answer")
        click(page, "#send")
        page.wait_for("document.querySelector('#list .content').textContent.includes('An answer')")
        seen = ann.get(f"/statuses/{first}")
        assert (seen["favourited"], seen["reblogged"], seen["replies_count"]) == (True, True, 1)

        # The thread shows what is not for everybody to whom it is for.
        mine_at = f'[href="/@{ann.name}/{mine["id"]}"]'
        click(page, mine_at)
        page.wait_for("document.querySelectorAll('#list .chosen').length === 1")
        assert texts(page) == [f"Mine: {SCRIPT} example.com/x"]
        click(page, "#tab-home")
        page.wait_for("document.querySelectorAll('#list article').length === 20")

        # A mention is counted, looked at, and counted no more.
        bob.write(f"Hello @{ann.name}")
        page.wait_for("document.getElementById('unread').textContent === '1'")
        click(page, "#bell")
        page.wait_for("document.querySelectorAll('#told-list li').length === 1")
        page.wait_for("document.getElementById('unread').hidden")
        assert ann.get("/notifications/unread_count") == {"count": 0}

        # Everything that can be acted on has a name, and nothing is wider than the screen.
        assert page.evaluate(_NAMELESS) == []
        for width in (320, 390, 1200):
            page.screen(width, 800)
            assert page.evaluate("document.documentElement.scrollWidth") <= width

        # Signed out, the token is worth nothing, and nothing of the account is left.
        token = page.evaluate("JSON.parse(sessionStorage.getItem('social-session')).token")
        headers = {"Authorization": f"Bearer {token}"}
        me = "/api/v1/accounts/verify_credentials"
        assert social.client.get(me, headers=headers).status_code == 200
        click(page, "#leave")
        page.wait_for("!document.getElementById('out').hidden")
        assert social.client.get(me, headers=headers).status_code == 401
        assert (
            page.evaluate("sessionStorage.length + document.querySelectorAll('article').length")
            == 0
        )

        # The app is known already; when its token ends elsewhere, the stream does, and the page.
        sign_in(page, ann)
        page.wait_for("document.getElementById('live')?.classList.contains('on')")
        apps = social.sql("SELECT count(*) FROM app WHERE name = 'Social on the web'")[0][0]
        assert apps == 1
        social.sql("DELETE FROM token WHERE account_id = $1", ann.number)
        page.wait_for("!document.getElementById('out').hidden")
        said = page.evaluate("document.getElementById('out-notice').textContent")
        assert said == "The access token is invalid"
        assert page.complaints  # Refused, which the browser notes.
        page.complaints.clear()

        # The public pages look the same, and are as safe.
        page.open(f"{social.process.url}/@{bob.name}")
        assert page.evaluate("document.querySelectorAll('article').length") == 20
        assert page.evaluate("document.documentElement.scrollWidth") <= 1200
        assert "run" not in page.evaluate("document.title")
        assert page.complaints == []


_CHOOSE_A_PICTURE = """
(async () => {
  const canvas = new OffscreenCanvas(40, 30);
  canvas.getContext('2d').fillRect(0, 0, 40, 30);
  const chosen = new DataTransfer();
  chosen.items.add(new File([await canvas.convertToBlob()], 'p.png', { type: 'image/png' }));
  document.getElementById('files').files = chosen.files;
  document.getElementById('files').dispatchEvent(new Event('change'));
})()
"""
_NAMELESS = """
[...document.querySelectorAll('button, a[href], input, select, textarea, img')]
  .filter((e) => e.offsetParent && !(e.textContent.trim() || e.getAttribute('aria-label')
    || e.hasAttribute('alt') || e.querySelector('img[alt]:not([alt=""])')
    || (e.labels && e.labels.length)))
  .map((e) => e.outerHTML)
"""
