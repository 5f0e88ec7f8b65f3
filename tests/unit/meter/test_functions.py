"""py-spy's stacks: what is read of them, and what is kept."""

from __future__ import annotations

from pathlib import Path

from loadpath.meter.functions import STACKS_MAX, arguments, read_stacks
from loadpath.recording import Frame

SERVICE = Path("/srv/shop")
LOOP = "_run_once (/usr/lib/python3.11/asyncio/base_events.py)"
HANDLER = "orders (/srv/shop/app/views.py)"
DRIVER = "fetch (/srv/shop/.venv/lib/python3.11/site-packages/asyncpg/pool.py:12)"


def test_files_are_named_from_the_service_or_from_what_was_installed() -> None:
    stacks, left_out = read_stacks(f"{LOOP};{HANDLER};{DRIVER} 7\n", SERVICE)
    assert left_out == 0
    (stack,) = stacks
    assert stack.samples == 7
    assert stack.frames == (
        Frame("_run_once", "asyncio/base_events.py", own=False),
        Frame("orders", "app/views.py", own=True),
        Frame("fetch", "asyncpg/pool.py", own=False),
    )


def test_code_beside_the_service_is_its_own_and_keeps_no_path() -> None:
    text = "helper (/srv/shop/../common/helper.py) 1\nrun (<frozen runpy>) 1\n"
    stacks, _ = read_stacks(text, SERVICE)
    assert {stack.frames[0] for stack in stacks} == {
        Frame("helper", "helper.py", own=True),
        Frame("run", "<frozen runpy>", own=False),
    }


def test_equal_stacks_are_one_and_the_most_frequent_comes_first() -> None:
    text = f"{LOOP} 2\n{HANDLER} 3\n{LOOP} 4\n"
    stacks, _ = read_stacks(text, SERVICE)
    assert [stack.samples for stack in stacks] == [6, 3]


def test_what_is_no_stack_is_left_out() -> None:
    text = f"\nno frame here\n{HANDLER} many\nhalf (/srv; 3\n{HANDLER} 3\n"
    stacks, _ = read_stacks(text, SERVICE)
    assert [stack.samples for stack in stacks] == [3]


def test_rare_stacks_are_counted_not_kept() -> None:
    text = f"{HANDLER} 9\n" + "".join(f"f{n} (/srv/shop/a.py) 1\n" for n in range(STACKS_MAX))
    stacks, left_out = read_stacks(text, SERVICE)
    assert len(stacks) == STACKS_MAX
    assert stacks[0].samples == 9
    assert left_out == 1


def test_the_service_is_not_paused() -> None:
    words = arguments("py-spy", 42, duration_s=4.0, into=Path("out"))
    assert "--nonblocking" in words
    assert words[words.index("--duration") + 1] == "4"
