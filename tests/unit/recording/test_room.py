"""How full a disk is, in words."""

from __future__ import annotations

import os
import re
from pathlib import Path

from loadpath.recording.room import room

UNITS = ["bytes", "kB", "MB", "GB", "TB"]


def test_it_names_a_folder_that_is_there_and_what_is_free_on_its_disk(tmp_path: Path) -> None:
    said = room(tmp_path / "not" / "yet" / "there.parquet")
    found = re.match(rf"the disk of {tmp_path} has (\d+) (\w+) of \d+ \w+ free", said)
    assert found is not None
    free = int(found[1]) * 1000 ** UNITS.index(found[2])
    state = os.statvfs(tmp_path)
    # Others write meanwhile.
    assert 0.5 < (free + 1) / (state.f_bavail * state.f_frsize + 1) < 2
