"""Files of a web page: their addresses, how long they are kept, what is not served."""

from __future__ import annotations

import re
from pathlib import Path

from systems_common.web_page import Assets, page_headers


def folder(place: Path, style: str) -> Path:
    place.mkdir()
    (place / "page.html").write_text('<script src="/-/page.js?v={digest}"></script>{title}')
    (place / "page.js").write_text('import "/-/other.js?v={digest}";')
    (place / "other.js").write_text("")
    (place / "page.css").write_text(style)
    (place / "notes.txt").write_text("not for browsers")
    return place


def test_addresses_change_with_any_file(tmp_path: Path) -> None:
    one, same, other = (
        Assets(folder(tmp_path / name, style))
        for name, style in (("one", "a {}"), ("same", "a {}"), ("other", "b {}"))
    )
    assert one.digest == same.digest != other.digest
    assert f"?v={one.digest}".encode() in one.page("page.html")
    script = one.find("page.js")
    assert script is not None and f"?v={one.digest}".encode() in script.body
    assert "immutable" in one.cache_control(one.digest)
    assert {one.cache_control(stale) for stale in (None, "", other.digest)} == {"no-cache"}


def test_only_files_of_the_page_are_served(tmp_path: Path) -> None:
    page = Assets(folder(tmp_path / "page", ""))
    for name in ("notes.txt", "page.html", "../page.js", ""):
        assert page.find(name) is None
    style = page.find("page.css")
    assert style is not None and re.match("text/css", style.content_type)
    assert page.page("page.html", title="<b>&").endswith(b"</script>&lt;b&gt;&amp;")
    assert "unsafe" not in page_headers()["content-security-policy"]
