"""What crosses a tap ends up in the tables of a recording, without its values."""

from __future__ import annotations

import asyncio
import math

import pytest

from loadpath.errors import LoadpathError, RecordingError
from loadpath.tap import recorder, tables
from loadpath.tap.relays import resident_bytes

from .conftest import Relayed, ask, connect, run, server, until


def test_exchanges_of_a_window_are_recorded_and_others_are_not(relayed: Relayed) -> None:
    async def test() -> None:
        async with server() as target:
            place = await relayed.tap(target)
            await ask(place, "before 1")
            relayed.relays.begin(relayed.window(3))
            await ask(place, "get alice1", "get alice1", "get alice2", "bad bob1")
            result = await relayed.relays.end()
            await ask(place, "after 1")
        rows = relayed.exchanges(3)
        assert rows["verb"] == ["get", "get", "get", "bad"]
        assert set(rows["segment"]) == {3}
        assert set(rows["tap"]) == {"it"}
        assert [relayed.shapes(3)[shape] for shape in rows["shape"]] == ["alice"] * 3 + ["bob"]
        assert rows["error"] == ["", "", "", "!bad"]
        assert rows["request_bytes"] == [11, 11, 11, 9]
        assert rows["reply_bytes"] == [11, 11, 11, 5]
        same, again, other, _ = rows["parameters"]
        assert same == again != other
        assert all(map(math.isnan, rows["rows"]))
        times = zip(rows["began_s"], rows["first_byte_s"], rows["ended_s"], strict=True)
        assert all(
            result.began_s <= began <= first <= ended <= result.ended_s
            for began, first, ended in times
        )
        assert (result.segment, result.exchange_count, result.lost_exchanges) == (3, 4, 0)
        assert result.cpu_s > 0
        stored = b"".join((relayed.folder / n).read_bytes() for n in ("exchanges3", "shapes3"))
        assert b"alice1" not in stored

    run(test())


def test_connections_are_recorded_open_or_closed(relayed: Relayed) -> None:
    async def test() -> None:
        async with server() as target:
            place = await relayed.tap(target)
            await ask(place, "gone before")
            await until(lambda: relayed.state().open_count == 0)
            relayed.relays.begin(relayed.window())
            await ask(place, "a 1", "a 2")
            await until(lambda: relayed.state().open_count == 0)
            reader, writer = await connect(place)
            writer.write(b"a 3\n")
            await reader.readline()
            result = await relayed.relays.end()
            writer.close()
        table = relayed.connections()
        assert table["ending"] == ["client closed", ""]
        assert table["exchanges"] == [2, 1]
        assert table["sent_bytes"] == table["received_bytes"] == [8, 4]
        assert math.isnan(table["closed_s"][1])
        assert table["opened_s"][0] <= table["connected_s"][0] <= table["left_s"][0]
        assert table["left_s"][0] <= table["closed_s"][0]
        assert math.isnan(table["left_s"][1])
        assert table["opened_s"][1] < result.ended_s
        assert len(set(table["connection"])) == 2

    run(test())


def test_what_the_client_ended_is_open_until_the_server_ends_it(relayed: Relayed) -> None:
    async def test() -> None:
        stopped = asyncio.Event()
        heard_out: list[asyncio.StreamReader] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            heard_out.append(reader)
            await stopped.wait()
            writer.close()

        async with server(serve) as target:
            place = await relayed.tap(target)
            relayed.relays.begin(relayed.window())
            for _ in range(2):
                _, writer = await connect(place)
                writer.close()
            await until(lambda: len(heard_out) == 2)
            assert relayed.state().open_count == 2
            await relayed.relays.end()
            stopped.set()
        table = relayed.connections()
        assert all(map(math.isnan, table["closed_s"]))
        assert table["ending"] == ["", ""]
        for opened_s, left_s in zip(table["opened_s"], table["left_s"], strict=True):
            assert opened_s < left_s < opened_s + 20

    run(test())


@pytest.mark.parametrize(
    ("line", "reason"),
    [("odd thing", "a line that nobody knows"), ("fault x", "RuntimeError: a bug in the reader")],
)
def test_bytes_go_on_when_nobody_understands_them(relayed: Relayed, line: str, reason: str) -> None:
    """Whether the reader says so itself or fails: one connection, counted, with its reason."""

    async def test() -> None:
        async with server() as target:
            place = await relayed.tap(target)
            relayed.relays.begin(relayed.window())
            assert await ask(place, "a 1", line, "a 2", "a 3") == ["a 1", line, "a 2", "a 3"]
            assert await ask(place, "b 1") == ["b 1"]
            await until(lambda: relayed.state().open_count == 0)
            result = await relayed.relays.end()
        assert relayed.exchanges()["verb"] == ["a", "b"]
        unread = relayed.connections()["unread"]
        assert reason in unread[0]
        assert unread[1] == ""
        assert result.unread == {"it": {unread[0]: 1}}
        assert relayed.state().unread == {unread[0]: 1}

    run(test())


def test_a_kind_that_nobody_reads_is_relayed(relayed: Relayed) -> None:
    async def test() -> None:
        async with server() as target:
            place = await relayed.tap(target, "mysql")
            relayed.relays.begin(relayed.window())
            assert await ask(place, "a 1") == ["a 1"]
            await until(lambda: relayed.state().open_count == 0)
            await relayed.relays.end()
        assert relayed.exchanges()["verb"] == []
        assert relayed.connections()["unread"] == ["nobody reads mysql"]

    run(test())


def test_a_window_without_reading_measures_the_relay_alone(relayed: Relayed) -> None:
    """Connections that lived through it stay unread: what they agreed on is not known."""

    async def test() -> None:
        async with server() as target:
            place = await relayed.tap(target)
            reader, writer = await connect(place)

            async def again(line: bytes) -> None:
                writer.write(line)
                assert await reader.readline() == line

            await again(b"a 0\n")
            relayed.relays.begin(relayed.window(0, reading=False))
            await again(b"a 1\n")
            await ask(place, "b 1")
            await relayed.relays.end()
            relayed.relays.begin(relayed.window(1))
            await again(b"a 2\n")
            await ask(place, "c 1")
            await relayed.relays.end()
            writer.close()
        assert relayed.exchanges(0)["verb"] == []
        assert relayed.exchanges(1)["verb"] == ["c"]

    run(test())


def test_two_hundred_thousand_exchanges_take_no_more_memory_than_a_few(
    relayed: Relayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All texts are distinct: what is kept of them is bounded too."""
    monkeypatch.setattr(recorder, "TEXTS_PER_BLOCK", 10_000)

    async def test() -> None:
        async with server() as target:
            place = await relayed.tap(target)
            reader, writer = await connect(place)
            asked = 0

            async def send(count: int) -> None:
                nonlocal asked
                for _ in range(count // 500):
                    lines = [b"get key%d\n" % n for n in range(asked, asked + 500)]
                    asked += 500
                    writer.write(b"".join(lines))
                    await reader.readexactly(sum(map(len, lines)))

            relayed.relays.begin(relayed.window())
            await send(40_000)
            before = resident_bytes()
            await send(160_000)
            grown = resident_bytes() - before
            result = await relayed.relays.end()
            writer.close()
        assert (result.exchange_count, result.lost_exchanges) == (200_000, 0)
        assert len(relayed.exchanges()["verb"]) == 200_000
        assert [*relayed.shapes().values()] == ["key"]
        assert grown < 40_000_000

    run(test(), within_s=120)


def test_a_disk_that_does_not_keep_up_loses_rows_and_never_bytes(
    relayed: Relayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was lost is counted."""
    monkeypatch.setattr(recorder, "TEXTS_PER_BLOCK", 100)
    monkeypatch.setattr(tables, "BLOCKS_WAITING_MAX", 0)

    async def test() -> None:
        async with server() as target:
            place = await relayed.tap(target)
            relayed.relays.begin(relayed.window())
            lines = [f"get {n}x" for n in range(250)]
            assert await ask(place, *lines) == lines
            result = await relayed.relays.end()
        assert (result.exchange_count, result.lost_exchanges) == (250, 200)
        assert len(relayed.exchanges()["verb"]) == 50

    run(test())


def test_a_folder_that_is_not_there_is_told(relayed: Relayed) -> None:
    async def test() -> None:
        relayed.folder = relayed.folder / "gone"
        with pytest.raises(RecordingError, match="gone"):
            relayed.relays.begin(relayed.window())
        relayed.folder = relayed.folder.parent
        relayed.relays.begin(relayed.window())
        with pytest.raises(LoadpathError, match="still being recorded"):
            relayed.relays.begin(relayed.window(1))
        await relayed.relays.end()
        with pytest.raises(LoadpathError, match="no window"):
            await relayed.relays.end()

    run(test())


def test_a_tap_of_the_same_name_takes_the_place_of_the_first(relayed: Relayed) -> None:
    async def test() -> None:
        async with server() as first, server() as second:
            one = await relayed.tap(first)
            reader, writer = await connect(one)
            writer.write(b"a 1\n")
            await reader.readline()
            two = await relayed.tap(second)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(one.host, one.port)
            assert await ask(two, "a 2") == ["a 2"]
            assert relayed.state().connection_count == 1

    run(test())
