"""matrix-nio, a client that was written for other servers, drives the running service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import nio
import pytest
from messaging.testing import PASSWORD, Messaging


def events_of(answer: Any, room_id: str) -> list[Any]:
    return [
        event.body
        for event in answer.rooms.join[room_id].timeline.events
        if isinstance(event, nio.RoomMessageText)
    ]


async def registered(url: str, name: str) -> nio.AsyncClient:
    client = nio.AsyncClient(url, name)
    answer = await client.register(name, PASSWORD)
    assert isinstance(answer, nio.RegisterResponse), answer
    return client


def text(body: str) -> dict[str, str]:
    return {"msgtype": "m.text", "body": body}


def test_a_conversation(messaging: Messaging) -> None:
    async def talk() -> None:
        url = messaging.process.url
        alice = await registered(url, "nio-alice")
        bob = await registered(url, "nio-bob")
        clients = [alice, bob]
        try:
            phone = nio.AsyncClient(url, bob.user_id)
            clients.append(phone)
            answer = await phone.login(PASSWORD, device_name="phone")
            assert isinstance(answer, nio.LoginResponse), answer
            assert phone.device_id != bob.device_id
            whoami = await phone.whoami()
            assert whoami.user_id == bob.user_id

            made = await alice.room_create(name="Tea", topic="at four", invite=[bob.user_id])
            assert isinstance(made, nio.RoomCreateResponse), made
            room_id = made.room_id
            invited = await bob.sync()
            assert room_id in invited.rooms.invite
            assert isinstance(await bob.join(room_id), nio.JoinResponse)

            await phone.sync()
            assert phone.rooms[room_id].name == "Tea"
            assert phone.rooms[room_id].topic == "at four"
            assert set(phone.rooms[room_id].users) == {alice.user_id, bob.user_id}

            await alice.sync()
            await bob.sync()
            sent = await alice.room_send(room_id, "m.room.message", text("one"), tx_id="t1")
            again = await alice.room_send(room_id, "m.room.message", text("one"), tx_id="t1")
            assert isinstance(sent, nio.RoomSendResponse), sent
            assert again.event_id == sent.event_id
            for client in (bob, phone):
                heard = await client.sync(timeout=5_000)
                assert events_of(heard, room_id) == ["one"]
                assert heard.rooms.join[room_id].unread_notifications.notification_count == 1

            # Offline, then caught up: in order, and no message twice.
            for n in range(5):
                await alice.room_send(room_id, "m.room.message", text(f"late {n}"))
            assert events_of(await bob.sync(), room_id) == [f"late {n}" for n in range(5)]

            await alice.sync()
            receipt = await bob.update_receipt_marker(room_id, sent.event_id)
            assert isinstance(receipt, nio.UpdateReceiptMarkerResponse), receipt
            read = await alice.sync(timeout=5_000)
            [ephemeral] = read.rooms.join[room_id].ephemeral
            assert [(r.event_id, r.user_id) for r in ephemeral.receipts] == [
                (sent.event_id, bob.user_id)
            ]

            typed = await bob.room_typing(room_id, True, timeout=600)
            assert isinstance(typed, nio.RoomTypingResponse), typed
            seen = await alice.sync(timeout=5_000)
            assert seen.rooms.join[room_id].ephemeral[0].users == [bob.user_id]
            # It ends by itself.
            seen = await alice.sync(timeout=5_000)
            assert seen.rooms.join[room_id].ephemeral[0].users == []

            await bob.sync()
            gone = await alice.room_redact(room_id, sent.event_id, "a mistake")
            assert isinstance(gone, nio.RoomRedactResponse), gone
            told = await bob.sync(timeout=5_000)
            [redaction] = told.rooms.join[room_id].timeline.events
            assert redaction.redacts == sent.event_id
            page = await bob.room_messages(room_id, bob.next_batch, limit=50)
            assert isinstance(page, nio.RoomMessagesResponse), page
            assert any(isinstance(event, nio.RedactedEvent) for event in page.chunk)

            assert isinstance(await bob.room_leave(room_id), nio.RoomLeaveResponse)
            left = await bob.sync(timeout=5_000)
            assert room_id in left.rooms.leave
            refused = await bob.room_send(room_id, "m.room.message", text("?"))
            assert refused.status_code == "M_FORBIDDEN"
        finally:
            for client in clients:
                await client.close()

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda c: c.get_displayname(), nio.ProfileGetDisplayNameResponse),
        (lambda c: c.set_displayname("Carol"), nio.ProfileSetDisplayNameResponse),
        (lambda c: c.devices(), nio.DevicesResponse),
        (lambda c: c.joined_rooms(), nio.JoinedRoomsResponse),
        (lambda c: c.upload_filter(room={"timeline": {"limit": 3}}), nio.UploadFilterResponse),
        (lambda c: c.logout(), nio.LogoutResponse),
    ],
)
def test_small_calls(
    messaging: Messaging, call: Callable[[nio.AsyncClient], Awaitable[Any]], kind: type[Any]
) -> None:
    async def run() -> None:
        user = messaging.user()
        client = nio.AsyncClient(messaging.process.url, user.user_id)
        client.restore_login(user.user_id, user.device_id, user.token)
        try:
            answer = await call(client)
            assert isinstance(answer, kind), answer
        finally:
            await client.close()

    asyncio.run(run())
