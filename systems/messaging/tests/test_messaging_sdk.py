"""matrix-js-sdk, which Element is made with, drives the running service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from messaging.testing import PASSWORD, SERVER_NAME, Messaging
from systems_common.testing.node import printed_by

CALLS = Path(__file__).parent / "sdk" / "calls.mjs"


@pytest.fixture(scope="module")
def results(messaging: Messaging) -> dict[str, Any]:
    """What the clients of calls.mjs came to know."""
    known: dict[str, Any] = printed_by(CALLS, messaging.process.url, PASSWORD)
    return known


ALICE, BOB = (f"@sdk-{name}:{SERVER_NAME}" for name in ("alice", "bob"))


def test_an_invitation_leads_into_the_room(results: dict[str, Any]) -> None:
    assert results["whoami"] == BOB
    assert results["invited"] is True
    assert results["name"] == "Tea"
    assert results["members"] == [ALICE, BOB]


def test_a_message_arrives_counts_as_unread_and_is_read(results: dict[str, Any]) -> None:
    assert results["sent"] is True
    assert results["unread"] == 1
    assert results["readUpTo"].startswith("$")
    assert results["typing"] == BOB


def test_a_reply_makes_a_thread_and_a_redaction_takes_away(results: dict[str, Any]) -> None:
    assert results["thread"] == [True, "in the thread"]
    assert results["redacted"] is True


def test_another_device_catches_up_and_pages_back_to_the_beginning(results: dict[str, Any]) -> None:
    late = [f"late {n}" for n in range(30)]
    assert results["phone"] == late[-3:]
    # What was redacted is there, and says nothing; the reply is in its thread.
    assert results["history"] == ["one", None, *late]


def test_who_is_put_out_or_logs_out_is_refused(results: dict[str, Any]) -> None:
    assert results["refused"] == "M_FORBIDDEN"
    assert results["devices"] == 2
    assert results["loggedOut"] == "M_UNKNOWN_TOKEN"


def test_what_two_clients_encrypt_for_each_other_is_read_by_them_alone(
    results: dict[str, Any],
) -> None:
    """The other has decrypted it; on the server there is nothing to read."""
    assert results["secret"] == ["m.room.encrypted", False]


def test_a_lost_device_is_made_up_for_by_the_recovery_key(results: dict[str, Any]) -> None:
    """A new device signs itself with keys from the secret storage, and the backup gives it the
    keys of what was said before it was there."""
    assert results["backup"] == "m.megolm_backup.v1.curve25519-aes-sha2"
    assert (results["known"], results["verifiedAtFirst"]) == (True, False)
    assert results["askedFor"] == "recovery key"
    assert results["verified"] is True
    assert results["restored"] == [1, 1]
