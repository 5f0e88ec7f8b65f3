"""The built-in push rules that counts of unread events follow. Pure.

They are those of specification v1.11 that this server acts on, with their own ids. Nobody changes
them so far: there is no endpoint for that, and nothing is pushed anywhere.
"""

from __future__ import annotations

from typing import Any

__all__ = ["push_rules"]

_NOTIFY = "notify"
_HIGHLIGHT = {"set_tweak": "highlight"}
_SOUND = {"set_tweak": "sound", "value": "default"}


def _rule(name: str, conditions: list[dict[str, Any]], *actions: Any) -> dict[str, Any]:
    return {
        "rule_id": name,
        "default": True,
        "enabled": True,
        "conditions": conditions,
        "actions": list(actions),
    }


def _is(key: str, pattern: str) -> dict[str, Any]:
    return {"kind": "event_match", "key": key, "pattern": pattern}


def push_rules(user_id: str) -> dict[str, Any]:
    """The rules of a user."""
    mentioned = {
        "kind": "event_property_contains",
        "key": "content.m\\.mentions.user_ids",
        "value": user_id,
    }
    everybody = {
        "kind": "event_property_is",
        "key": "content.m\\.mentions.room",
        "value": True,
    }
    edit = {
        "kind": "event_property_is",
        "key": "content.m\\.relates_to.rel_type",
        "value": "m.replace",
    }
    may = {"kind": "sender_notification_permission", "key": "room"}
    return {
        "global": {
            "override": [
                _rule(".m.rule.suppress_notices", [_is("content.msgtype", "m.notice")]),
                _rule(".m.rule.suppress_edits", [edit]),
                _rule(".m.rule.is_user_mention", [mentioned], _NOTIFY, _SOUND, _HIGHLIGHT),
                _rule(".m.rule.is_room_mention", [everybody, may], _NOTIFY, _HIGHLIGHT),
                _rule(".m.rule.member_event", [_is("type", "m.room.member")]),
                _rule(".m.rule.reaction", [_is("type", "m.reaction")]),
            ],
            "content": [],
            "room": [],
            "sender": [],
            "underride": [
                _rule(".m.rule.message", [_is("type", "m.room.message")], _NOTIFY),
                _rule(".m.rule.encrypted", [_is("type", "m.room.encrypted")], _NOTIFY),
            ],
        }
    }
