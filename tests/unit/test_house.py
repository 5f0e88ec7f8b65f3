"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from loadpath.errors import ExitCode
from loadpath.spec import document

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCE = CHECKOUT / "src"
LINES_MAX = 500

# Anything with these in it would tie the project to one machine, or to one place to download from.
MACHINE_PATHS = re.compile(r"(?<![\w.~$}/-])/(?:root|Users/\w+)/")
DOWNLOADS = re.compile(
    r"--(?:extra-)?index-url|--find-links|--trusted-host|\bindex-url\s*="
    r"|https?://[^\s\"'<>)]*(?:/simple\b|/(?:packages|wheels|npm|registry)/|\.whl\b|\.tgz\b)"
)
UNREADABLE = {".png", ".parquet", ".ico", ".gz"}


def tracked_files() -> list[Path]:
    """Every file that git has, or would have if all were added now."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this copy of the checkout has no git repository")
    files = (CHECKOUT / name for name in listed.stdout.split("\0") if name)
    return [f for f in files if f.is_file()]


def modules() -> list[Path]:
    roots = [SOURCE, *CHECKOUT.glob("systems/*/src")]
    return sorted(f for root in roots for f in root.rglob("*.py"))


def map_folders() -> set[str]:
    """The folders that the tables of ARCHITECTURE.md list."""
    text = (CHECKOUT / "ARCHITECTURE.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [cell.strip() for row in rows for cell in row.split("|")[1:3]]
    return {found[1] for cell in cells if (found := re.fullmatch(r"`([\w/.]+)/`", cell))}


def test_every_folder_of_the_map_exists() -> None:
    missing = sorted(f for f in map_folders() if not (CHECKOUT / f).is_dir())
    assert missing == []


def test_every_package_is_on_the_map() -> None:
    packages = {f.parent.relative_to(CHECKOUT) for f in SOURCE.rglob("*.py")}
    unmapped = sorted(str(p) for p in packages if str(p) not in map_folders())
    assert unmapped == []


def test_every_system_and_kind_of_test_is_on_the_map() -> None:
    folders = {f.parent for f in CHECKOUT.glob("systems/*/pyproject.toml")}
    folders |= {f for f in CHECKOUT.glob("tests/*") if f.is_dir() and list(f.glob("**/test_*.py"))}
    unmapped = sorted(
        str(f.relative_to(CHECKOUT))
        for f in folders
        if str(f.relative_to(CHECKOUT)) not in map_folders()
    )
    assert unmapped == []


def test_the_layers_of_the_linter_are_those_of_the_map() -> None:
    text = (CHECKOUT / "pyproject.toml").read_text("utf-8")
    block = text.partition("layers = [")[2].partition("]")[0]
    built = {
        name.strip()
        for line in re.findall(r'"([^"]+)"', block)
        for name in line.split("|")
        if not name.strip().startswith("(")
    }
    folders = {p.parent.name for p in (SOURCE / "loadpath").glob("*/__init__.py")}
    files = {p.stem for p in (SOURCE / "loadpath").glob("*.py")} - {"__init__", "__main__"}
    assert built == folders | files


@pytest.mark.parametrize("file", modules(), ids=lambda f: str(f.relative_to(CHECKOUT)))
def test_a_module_says_what_it_is_for_and_can_be_read_in_one_sitting(file: Path) -> None:
    text = file.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert len(text.splitlines()) <= LINES_MAX


def tables() -> dict[str, type[msgspec.Struct]]:
    """The tables of the service file, each under the heading that documents it."""
    return {
        "## `[service]`": document.ServiceTable,
        "`tls` as a table has": document.TlsTable,
        "## `[dependencies.NAME]`": document.DependencyTable,
        "## `[workload]`": document.WorkloadTable,
        "`arrivals` is one of two things": document.ArrivalsTable,
        "`identities` is a number": document.IdentitiesTable,
        "## `[workload.keys.NAME]`": document.KeySetTable,
        '## `[operations."NAME"]`': document.OperationTable,
        "## `[objective]`": document.ObjectiveTable,
        "## `[knobs.NAME]`": document.KnobTable,
        "## `[growth]`": document.GrowthTable,
    }


@pytest.mark.parametrize("heading", tables())
def test_the_reference_documents_every_key_of_a_table_and_no_other(heading: str) -> None:
    text = (CHECKOUT / "docs/reference/service-file.md").read_text("utf-8")
    assert text.count(heading) == 1
    ends = r"\n##+ |\n`arrivals` is|\n`identities` is|\n`tls` as"
    section = re.split(ends, text.partition(heading)[2])[0]
    first_cells = re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)
    documented = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    assert documented == set(tables()[heading].__struct_fields__)


def test_the_reference_covers_every_table_of_the_file() -> None:
    text = (CHECKOUT / "docs/reference/service-file.md").read_text("utf-8")
    headings = re.findall(r"^## `\[(\w+)", text, re.MULTILINE)
    assert set(headings) == set(document.ServiceFile.__struct_fields__)


def test_every_exit_code_is_documented() -> None:
    text = (CHECKOUT / "docs/reference/exit-codes.md").read_text("utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert documented == {int(code) for code in ExitCode}


def test_links_in_the_documentation_lead_somewhere() -> None:
    broken = []
    for page in (f for f in tracked_files() if f.suffix == ".md"):
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(CHECKOUT)}: {target}")
    assert broken == []


def test_no_file_names_a_machine_or_a_place_to_download_from() -> None:
    found = []
    places = "|".join(rf"(?<![\w.]){re.escape(p)}\b" for p in own_places())
    here = re.compile(places or r"(?!)")
    for file in tracked_files():
        if file.suffix in UNREADABLE or file == Path(__file__).resolve():
            continue
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
            if match := MACHINE_PATHS.search(line) or DOWNLOADS.search(line) or here.search(line):
                found.append(f"{file.relative_to(CHECKOUT)}:{number}: {match[0]}")
    assert found == []


def own_places() -> list[str]:
    """What would betray where this checkout is and where its packages come from."""
    settings = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    hosts = set(re.findall(r"https?://(?:[^/@\s']*@)?([\w.-]+)", settings.stdout))
    places = [str(CHECKOUT), *sorted(hosts - {"localhost", "127.0.0.1"})]
    # One as short as /app is a route or a word as well.
    return [p for p in places if len(p) >= 8]


def test_every_locked_package_has_a_hash() -> None:
    text = (CHECKOUT / "requirements.lock").read_text("utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", "\n" + text)[1:]
    assert entries
    assert [e.split()[0] for e in entries if "--hash=sha256:" not in e] == []


def test_every_changelog_fragment_has_a_kind_and_says_something() -> None:
    kinds = {"added", "changed", "fixed", "removed"}
    bad = [
        f.name
        for f in (CHECKOUT / "changelog.d").iterdir()
        if f.name.split(".")[1:-1] != [f.suffixes[0][1:]]
        or f.suffixes[0][1:] not in kinds
        or not f.read_text("utf-8").strip()
    ]
    assert bad == []


def test_decisions_are_numbered_without_gaps_or_doubles() -> None:
    files = sorted((CHECKOUT / "docs/decisions").glob("[0-9]*.md"))
    numbers = [int(f.name[:4]) for f in files]
    assert numbers == list(range(1, len(files) + 1))
