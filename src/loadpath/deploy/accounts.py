"""The unprivileged user that PostgreSQL runs as when Loadpath is root."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import msgspec

from loadpath.errors import WouldNotRunError

_NAMES = ("nobody", "daemon", "postgres")
_ANOTHER_PLACE = "Set TMPDIR to a folder that every user can enter, such as /tmp."


class Account(msgspec.Struct, frozen=True):
    """A user of this machine."""

    name: str
    user: int
    group: int


def unprivileged() -> Account | None:
    """The user to become for a server that refuses root; None when this process is not root."""
    if os.geteuid() != 0:
        return None
    for name in _NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise WouldNotRunError(
        f"PostgreSQL refuses to run as root, and no user {' or '.join(_NAMES)} is there to run it",
        advice="Run Loadpath as an ordinary user.",
    )


def may_enter(account: Account, folder: Path) -> bool:
    """Whether that user can reach what lies in a folder, by the permissions on the way to it."""
    for step in (folder, *folder.parents):
        state = step.stat()
        if state.st_uid == account.user:
            wanted = stat.S_IXUSR
        elif state.st_gid == account.group:
            wanted = stat.S_IXGRP
        else:
            wanted = stat.S_IXOTH
        if not state.st_mode & wanted:
            return False
    return True


def let_in(account: Account | None, folder: Path, *, advice: str = _ANOTHER_PLACE) -> None:
    """Let that user pass through (not list) a private folder of ours.

    Raises `WouldNotRunError` when a folder above it keeps the user out.
    """
    if account is None:
        return
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IXGRP | stat.S_IXOTH)
    if not may_enter(account, folder):
        raise WouldNotRunError(
            f"PostgreSQL runs as {account.name}, who cannot enter {folder}",
            advice=advice,
        )


def give(account: Account | None, path: Path) -> None:
    """Make a file or folder that user's."""
    if account is not None:
        os.chown(path, account.user, account.group)
