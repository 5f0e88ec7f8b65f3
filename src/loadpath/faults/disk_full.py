"""A disk that has no room left: a small file system of the dependency's own."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from loadpath.deploy.accounts import give, unprivileged
from loadpath.deploy.copying import copy_tree
from loadpath.errors import LoadpathError
from loadpath.faults.fault import Fault, Hits, Layer, Needs
from loadpath.faults.small_disk import folder_bytes, mount_small, unmount_small

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection

ROOM_BYTES = 256 << 20
"""What is free before the onset: the control run must not fill it."""
_FILLER = "filler"
_REFILL_S = 0.02
_COME_THROUGH_S = 10.0
_SAYS = ("no space left on device",)


class DiskFull(Fault, frozen=True, kw_only=True):
    """`TARGET disk full`. `prepare` moves its data to a file system in memory, which makes flushing
    cheaper: compare with a control run behind `prepare` alone."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("disk", "full")
    FORM: ClassVar[str] = "TARGET disk full"
    EXAMPLE: ClassVar[str] = "database disk full"
    SUMMARY: ClassVar[str] = (
        "Its data lies on a small file system of its own (in memory; needs root), which is filled "
        "to the last byte until it heals."
    )
    LAYER: ClassVar[Layer] = "state"
    NEEDS: ClassVar[Needs] = Needs(kinds=frozenset(("postgres", "nats")), started=True, root=True)

    async def prepare(self, injection: Injection) -> None:
        """Restart the target on a small file system; undone by the clean-up."""
        stage = injection.stage
        server = stage.deployment.server(self.target)
        data, small = server.place.data, server.place.folder / "small"
        stage.deployment.let_end(self.target)
        await server.stop_to_keep()
        size = await asyncio.to_thread(folder_bytes, data) + ROOM_BYTES
        aside = data.with_name("data-on-disk")

        async def back() -> None:
            stage.deployment.let_end(self.target)
            await stage.guard.end(server.child, sig=server.kind.clean_stop_signal, timeout_s=10.0)
            if data.is_symlink():
                data.unlink()
                fresh = data.with_name("data-of-small")
                await asyncio.to_thread(copy_tree, small / "data", fresh)
                fresh.rename(data)
            elif aside.exists():
                aside.rename(data)
            await asyncio.to_thread(unmount_small, small)
            await stage.deployment.start_again(self.target)

        injection.undo("move its data back to the disk", back)
        small.mkdir(mode=0o755)
        stage.guard.unmount_at_end(small)
        mount_small(small, size)
        give(unprivileged() if server.running.kind == "postgres" else None, small)
        await asyncio.to_thread(copy_tree, data, small / "data")
        data.rename(aside)
        data.symlink_to(small / "data")
        await stage.deployment.start_again(self.target)
        if server.running.kind == "postgres":
            # The first session after a start writes a file that every later one reads.
            async with stage.postgres(self.target):
                pass
        injection.small = small

    async def onset(self, injection: Injection) -> None:
        if injection.small is None:
            await self.prepare(injection)
        small = injection.small
        assert small is not None, "prepare has made it"
        stage = injection.stage
        stage.deployment.let_end(self.target)
        log = stage.deployment.log_files[self.target]
        injection.log_from = log.stat().st_size
        fill(small / _FILLER)
        injection.meanwhile(_keep_full(small / _FILLER))

    async def heal(self, injection: Injection) -> None:
        """Make room; a server that has ended by it is started again."""
        injection.gone = _complaints(injection)
        await injection.stop_meanwhile()
        if injection.small is not None:
            (injection.small / _FILLER).unlink(missing_ok=True)
        deployment = injection.stage.deployment
        if await _comes_through(injection):
            deployment.keep(self.target)
        else:
            await deployment.start_again(self.target)

    async def hits(self, injection: Injection) -> Hits:
        if injection.healed_s != injection.healed_s:  # nan: it has not healed
            injection.gone = _complaints(injection)
        count = injection.gone
        return Hits(count, f"the log of {self.target} says {count} times that no space is left")


def fill(filler: Path) -> None:
    """Take what is free on a file system, to the last block."""
    descriptor = os.open(filler, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        state = os.fstatvfs(descriptor)
        step = state.f_bfree * state.f_frsize
        while step >= state.f_frsize:
            try:
                os.posix_fallocate(descriptor, size, step)
                size += step
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise LoadpathError(f"{filler.parent} cannot be filled: {error}") from None
                step //= 2
    finally:
        os.close(descriptor)


async def _keep_full(filler: Path) -> None:
    """Take what the server gives back, too."""
    while True:
        await asyncio.sleep(_REFILL_S)
        fill(filler)


async def _comes_through(injection: Injection) -> bool:
    """Whether the server serves by itself once there is room; False as soon as it has ended."""
    server = injection.stage.deployment.server(injection.fault.target)
    deadline_s = time.monotonic() + _COME_THROUGH_S
    while server.child.returncode is None and time.monotonic() < deadline_s:
        if await server.kind.answers(server.place) is not None:
            return True
        await asyncio.sleep(_REFILL_S)
    return False


def _complaints(injection: Injection) -> int:
    log = injection.stage.deployment.log_files[injection.fault.target]
    with log.open("rb") as file:
        file.seek(injection.log_from)
        text = file.read().decode("utf-8", "replace").lower()
    return sum(text.count(words) for words in _SAYS)
