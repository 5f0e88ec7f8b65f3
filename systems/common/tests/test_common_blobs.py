"""Stores of files: what is kept is whole, what fails leaves nothing, no name leads elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from systems_common.blobs import (
    BlobMissingError,
    Blobs,
    BlobStoreError,
    BlobTooLargeError,
    DiskBlobs,
    blobs_of,
    temporary_folder,
)
from systems_common.blobs.doomed import doom, new_name, spare, swept
from systems_common.database import Database, transaction
from systems_common.testing import EmbeddedServer, new_database, on_database, s3_server

LARGE = bytes(range(256)) * 4_000


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_server() as server:
        yield server.url


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each of the two stores."""
    if request.param == "disk":
        return str(tmp_path / "not" / "there yet")
    url: str = request.getfixturevalue("s3_url")
    return url


def files_in(folder: Path) -> list[Path]:
    return sorted(one for one in folder.rglob("*") if one.is_file())


async def whole(blobs: Blobs, name: str) -> bytes:
    content = await blobs.read(name)
    body = b"".join([part async for part in content.parts])
    assert len(body) == content.size
    return body


async def arrive(blobs: Blobs, name: str, body: bytes, bytes_max: int = 2_000_000) -> None:
    async with blobs.spool(bytes_max) as spool:
        for at in range(0, len(body), 50_000):
            await spool.write(body[at : at + 50_000])
        await blobs.keep(name, spool, "image/png")


def test_what_is_kept_is_read_again_until_it_is_deleted(place: str) -> None:
    async def run() -> None:
        blobs = blobs_of(place)
        await blobs.check()
        names = [new_name(".png") for _ in range(3)]
        await arrive(blobs, names[0], LARGE)
        await blobs.put(names[1], b"small", "image/png")
        await blobs.put(names[2], b"", "image/png", durable=False)
        assert [await whole(blobs, name) for name in names] == [LARGE, b"small", b""]
        with await blobs.open(names[0], len(LARGE)) as file:
            file.seek(-3, os.SEEK_END)
            assert file.read() == LARGE[-3:]
        with pytest.raises(BlobTooLargeError):
            await blobs.open(names[0], len(LARGE) - 1)
        await blobs.delete(names)
        await blobs.delete(names)
        for name in names:
            with pytest.raises(BlobMissingError):
                await blobs.read(name)
            with pytest.raises(BlobMissingError):
                await blobs.open(name, 10)

    asyncio.run(run())


def test_too_much_is_refused_while_it_arrives(tmp_path: Path) -> None:
    async def run() -> None:
        blobs = DiskBlobs(tmp_path)
        with pytest.raises(BlobTooLargeError):
            await arrive(blobs, new_name(), LARGE, bytes_max=600_000)
        # What is given up in the middle leaves nothing either.
        async with blobs.spool(1_000_000) as spool:
            await spool.write(LARGE[:300_000])
            assert files_in(tmp_path) != []

    asyncio.run(run())
    assert files_in(tmp_path) == []


def test_other_users_may_open_a_file_they_know_and_list_none(tmp_path: Path) -> None:
    name = new_name()
    folder = tmp_path / "media"
    asyncio.run(DiskBlobs(folder).put(name, b"x", "text/plain"))
    modes = {one.name: one.stat().st_mode & 0o777 for one in (folder, *folder.rglob("*"))}
    assert modes == {"media": 0o711, "incoming": 0o700, name[:2]: 0o711, name: 0o644}


@pytest.mark.parametrize(
    "name",
    ["", "../../etc/passwd", "ab/cdefghij", "a" * 101, "abcdefgh.", "abcdefgh.SH", "ab\0cdefgh"],
)
def test_what_is_no_name_never_becomes_a_path(place: str, name: str) -> None:
    blobs = blobs_of(place)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: blobs.read(name),
        lambda: blobs.open(name, 10),
        lambda: blobs.put(name, b"x", "text/plain"),
        lambda: blobs.delete([name]),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="expected a name"):
            asyncio.run(_awaited(call))


async def _awaited(call: Callable[[], Awaitable[object]]) -> object:
    return await call()


@contextlib.contextmanager
def full_disk(bytes_max: int) -> Iterator[None]:
    """No file of this process may grow beyond this: the kernel refuses as it does on a full disk.

    (With EFBIG, where a full disk says ENOSPC; making one needs root.)
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_and_leaves_no_half_file(tmp_path: Path) -> None:
    async def run() -> None:
        blobs = DiskBlobs(tmp_path)
        for work in (
            lambda: arrive(blobs, new_name(), LARGE),
            lambda: blobs.put(new_name(), LARGE, "image/png"),
        ):
            with full_disk(100_000), pytest.raises(BlobStoreError, match="full") as failed:
                await work()
            assert failed.value.is_full
            assert files_in(tmp_path) == []
        await arrive(blobs, new_name(), LARGE)

    asyncio.run(run())
    assert len(files_in(tmp_path)) == 1


def test_a_store_that_cannot_be_written_fails_its_check(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    blobs = DiskBlobs(tmp_path / "file" / "folder")
    with pytest.raises(BlobStoreError):
        asyncio.run(blobs.check())
    with pytest.raises(BlobStoreError):
        asyncio.run(blobs.put(new_name(), b"x", "text/plain"))


def test_a_bucket_that_is_not_let_into_fails(s3_url: str) -> None:
    blobs = blobs_of(s3_url.replace(":secret", ":wrong", 1))
    for call in (blobs.check, lambda: blobs.put(new_name(), b"x", "text/plain")):
        with pytest.raises(BlobStoreError, match="403"):
            asyncio.run(_awaited(call))


def test_what_died_while_it_arrived_is_cleared_away(tmp_path: Path) -> None:
    async def run() -> None:
        blobs = DiskBlobs(tmp_path)
        await blobs.put(new_name(), b"x", "text/plain")
        left, arriving = tmp_path / "incoming" / "left", tmp_path / "incoming" / "arriving"
        for file in (left, arriving):
            file.write_bytes(b"half a file")
        long_ago = time.time() - 2 * 24 * 3600
        os.utime(left, (long_ago, long_ago))
        await blobs.delete([])
        assert not left.exists()
        assert arriving.exists()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("media", "absolute folder"),
        ("s3://host/bucket", "KEY:SECRET"),
        ("s3://key:secret@host", "KEY:SECRET"),
        ("s3://key:secret@host/bucket/more", "KEY:SECRET"),
        ("s3://key:secret@host/bucket?regoin=x", "regoin"),
    ],
)
def test_a_place_that_is_none_is_explained(place: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        blobs_of(place)


def test_processes_of_one_database_share_a_temporary_folder() -> None:
    one = temporary_folder("social", "postgresql://a:secret@host/one")
    assert one == temporary_folder("social", "postgresql://a:secret@host/one")
    assert one != temporary_folder("social", "postgresql://a:secret@host/other")
    assert "secret" not in one


@contextlib.asynccontextmanager
async def doomed_table(url: str) -> AsyncIterator[Database]:
    database = await Database.open(url, 2, name="blobs")
    try:
        await database.fetch(
            "CREATE TABLE doomed_blob (name text PRIMARY KEY, due_at timestamptz NOT NULL)"
        )
        yield database
    finally:
        await database.close()


def test_only_what_no_transaction_spared_is_deleted(
    postgres: EmbeddedServer, tmp_path: Path
) -> None:
    url = new_database(postgres.url)

    async def run() -> None:
        blobs = DiskBlobs(tmp_path)
        kept, dead, late, arriving = names = [new_name() for _ in range(4)]
        async with doomed_table(url) as database:
            await doom(database, [kept, arriving])
            await doom(database, [dead, late], after_s=-1.0)
            for name in names:
                await blobs.put(name, b"x", "text/plain")
            async with transaction(database) as connection:
                await spare(connection, [kept])
            assert await swept(database, blobs) == 2
            assert [path.name for path in files_in(tmp_path)] == sorted([kept, arriving])
            # Whoever comes back after the hour must not be told that all is well.
            with pytest.raises(BlobStoreError, match="given up"):
                async with transaction(database) as connection:
                    await spare(connection, [late])

    asyncio.run(run())
    left = on_database(url, lambda c: c.fetchval("SELECT count(*) FROM doomed_blob"))
    assert left == 1
