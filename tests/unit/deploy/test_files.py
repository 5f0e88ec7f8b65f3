"""Copying data folders, removing them, and where temporary ones are made."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from loadpath.deploy import folders
from loadpath.deploy.accounts import Account, let_in, may_enter
from loadpath.deploy.copying import copy_tree
from loadpath.deploy.kind import file_name
from loadpath.deploy.leftovers import remove_path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "below" / "empty").mkdir(parents=True)
    (root / "below" / "file").write_bytes(os.urandom(100_000))
    (root / "below" / "secret").write_text("x")
    (root / "below" / "secret").chmod(0o600)
    (root / "link").symlink_to("below/file")
    (root / "out").symlink_to(tmp_path)
    (root / "below").chmod(0o700)
    return root


def test_a_copy_is_the_same_and_its_own(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy_tree(tree, copy)
    for path in (".", "below", "below/empty", "below/file", "below/secret"):
        one, other = (tree / path).lstat(), (copy / path).lstat()
        assert (one.st_mode, one.st_uid, one.st_gid) == (other.st_mode, other.st_uid, other.st_gid)
        assert one.st_ino != other.st_ino
    assert (copy / "link").readlink() == Path("below/file")
    assert (copy / "below" / "file").read_bytes() == (tree / "below" / "file").read_bytes()
    (copy / "below" / "secret").write_text("changed")
    assert (tree / "below" / "secret").read_text() == "x"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_copy_belongs_to_whom_the_original_does(tree: Path, tmp_path: Path) -> None:
    os.chown(tree / "below" / "secret", 65534, 65534)
    os.chown(tree, 65534, 65534)
    copy_tree(tree, tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_uid == 65534
    assert (tmp_path / "copy" / "below" / "secret").stat().st_uid == 65534
    assert (tmp_path / "copy" / "below").stat().st_uid == 0


def test_removing_takes_everything_but_what_links_point_to(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    (tree / "below" / "empty").chmod(0o000)
    (tree / "below").chmod(0o500)
    assert remove_path(str(tree))
    assert not tree.exists()
    assert (tmp_path / "kept").exists()


def test_a_file_a_link_and_nothing_are_removed_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link", "nothing"):
        assert remove_path(str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_every_part_has_a_file_name_of_its_own() -> None:
    names = ["cache", "a/b", "a_b", "..", ".", "a%2fb", "größe"]
    made = [file_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert made[0] == "cache"
    assert not any("/" in name or name.startswith(".") for name in made)


def test_temporary_folders_are_on_a_disk_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    types = {tmp_path: "tmpfs", folders._ON_DISK: "ext4"}
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(folders, "_file_system", lambda folder: types[folder])
    monkeypatch.delenv("TMPDIR", raising=False)
    assert folders.temporary_root() == folders._ON_DISK.resolve()
    types[folders._ON_DISK] = "tmpfs"
    assert folders.temporary_root() == tmp_path
    types |= {tmp_path: "ext4", folders._ON_DISK: "ext4"}
    assert folders.temporary_root() == tmp_path
    types[tmp_path] = "tmpfs"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert folders.temporary_root() == tmp_path


def test_a_folder_of_ours_is_opened_for_passing_only(tmp_path: Path) -> None:
    stranger = Account("stranger", 54321, 54321)
    outer = tmp_path / "outer"
    outer.mkdir(mode=0o700)
    (outer / "inner").mkdir(mode=0o755)
    assert not may_enter(stranger, outer / "inner")
    let_in(None, outer)
    assert stat.S_IMODE(outer.stat().st_mode) == 0o700
    # Whether the folders around it let strangers in is not ours to say.
    around = all(step.stat().st_mode & stat.S_IXOTH for step in tmp_path.parents)
    if around and tmp_path.stat().st_mode & stat.S_IXOTH:
        let_in(stranger, outer)
    else:
        outer.chmod(0o711)
    assert stat.S_IMODE(outer.stat().st_mode) == 0o711
