"""Push rules: the predefined ones of specification v1.11, and what a user changed of them. Pure.

The three rules that search bodies for names are deprecated since v1.7. They are there, but not
enabled unless the user does so: clients mention by `m.mentions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from messaging.errors import MatrixError, bad_json, invalid_param, not_found, too_large

__all__ = [
    "DATA_TYPE",
    "Changes",
    "Rule",
    "Rules",
    "changes_from",
    "found_rule",
    "rule_from",
    "rules_json",
    "rules_of",
    "shown",
    "with_actions",
    "with_enabled",
    "with_rule",
    "without_rule",
]

DATA_TYPE = "m.push_rules"
KINDS = ("override", "content", "room", "sender", "underride")
_CONDITIONED = ("override", "underride")
_RULES_MAX = 1_000
_CHANGES_BYTES_MAX = 60_000
_ID_MAX = 255

_NOTIFY = "notify"
_HIGHLIGHT = {"set_tweak": "highlight"}
_SOUND = {"set_tweak": "sound", "value": "default"}
_RING = {"set_tweak": "sound", "value": "ring"}


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule. `conditions` have override and underride rules, `pattern` content rules."""

    rule_id: str
    actions: list[Any]
    conditions: list[dict[str, Any]] | None = None
    pattern: str | None = None
    enabled: bool = True

    @property
    def is_predefined(self) -> bool:
        """Whether it is one of the server's."""
        return self.rule_id.startswith(".")


Rules = dict[str, list[Rule]]
"""Of each kind the rules, the one that is asked first before the others."""


class Changes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a user made of the rules: rules of their own by kind, and of predefined ones, by their
    ids, whether they are enabled and their actions."""

    own: dict[str, list[Rule]] = {}
    enabled: dict[str, bool] = {}
    actions: dict[str, list[Any]] = {}


def _is(key: str, pattern: str) -> dict[str, Any]:
    return {"kind": "event_match", "key": key, "pattern": pattern}


def _rule(name: str, conditions: list[dict[str, Any]], *actions: Any, enabled: bool = True) -> Rule:
    return Rule(f".m.rule.{name}", list(actions), conditions, enabled=enabled)


@lru_cache(maxsize=4_096)
def _predefined(user_id: str) -> Mapping[str, Sequence[Rule]]:
    mentions = "content.m\\.mentions"
    to_me = {"kind": "event_property_contains", "key": f"{mentions}.user_ids", "value": user_id}
    to_all = {"kind": "event_property_is", "key": f"{mentions}.room", "value": True}
    relates = "content.m\\.relates_to.rel_type"
    edit = {"kind": "event_property_is", "key": relates, "value": "m.replace"}
    may = {"kind": "sender_notification_permission", "key": "room"}
    two = {"kind": "room_member_count", "is": "2"}
    named = {"kind": "contains_display_name"}
    member, invite = _is("type", "m.room.member"), _is("content.membership", "invite")
    message, encrypted = _is("type", "m.room.message"), _is("type", "m.room.encrypted")
    no_key = _is("state_key", "")
    alarm = (_NOTIFY, _SOUND, _HIGHLIGHT)
    to_room = _is("content.body", "@room")
    local = user_id[1:].partition(":")[0]
    return {
        "override": (
            _rule("master", [], enabled=False),
            _rule("suppress_notices", [_is("content.msgtype", "m.notice")]),
            _rule("invite_for_me", [member, invite, _is("state_key", user_id)], _NOTIFY, _SOUND),
            _rule("member_event", [member]),
            _rule("is_user_mention", [to_me], *alarm),
            _rule("contains_display_name", [named], *alarm, enabled=False),
            _rule("is_room_mention", [to_all, may], _NOTIFY, _HIGHLIGHT),
            _rule("roomnotif", [to_room, may], _NOTIFY, _HIGHLIGHT, enabled=False),
            _rule("tombstone", [_is("type", "m.room.tombstone"), no_key], _NOTIFY, _HIGHLIGHT),
            _rule("reaction", [_is("type", "m.reaction")]),
            _rule("room.server_acl", [_is("type", "m.room.server_acl"), no_key]),
            _rule("suppress_edits", [edit]),
        ),
        "content": (Rule(".m.rule.contains_user_name", list(alarm), pattern=local, enabled=False),),
        "underride": (
            _rule("call", [_is("type", "m.call.invite")], _NOTIFY, _RING),
            _rule("encrypted_room_one_to_one", [two, encrypted], _NOTIFY, _SOUND),
            _rule("room_one_to_one", [two, message], _NOTIFY, _SOUND),
            _rule("message", [message], _NOTIFY),
            _rule("encrypted", [encrypted], _NOTIFY),
        ),
    }


def changes_from(content: bytes | None) -> Changes:
    """The changes as they are kept."""
    return Changes() if content is None else msgspec.json.decode(content, type=Changes)


def rules_of(user_id: str, changes: Changes) -> Rules:
    """The rules of a user: own ones before the predefined ones, but the master before all."""
    found: Rules = {}
    for kind in KINDS:
        given = [
            msgspec.structs.replace(
                rule,
                enabled=changes.enabled.get(rule.rule_id, rule.enabled),
                actions=changes.actions.get(rule.rule_id, rule.actions),
            )
            for rule in _predefined(user_id).get(kind, ())
        ]
        own = changes.own.get(kind, [])
        found[kind] = [*given[:1], *own, *given[1:]] if kind == "override" else [*own, *given]
    return found


def shown(rule: Rule) -> dict[str, Any]:
    """A rule as clients see it."""
    answer: dict[str, Any] = {
        "rule_id": rule.rule_id,
        "default": rule.is_predefined,
        "enabled": rule.enabled,
        "actions": rule.actions,
    }
    if rule.conditions is not None:
        answer["conditions"] = rule.conditions
    if rule.pattern is not None:
        answer["pattern"] = rule.pattern
    return answer


def rules_json(user_id: str, content: bytes | None) -> dict[str, Any]:
    """All rules as clients see them, from the changes as they are kept."""
    rules = rules_of(user_id, changes_from(content))
    return {"global": {kind: [shown(rule) for rule in rules[kind]] for kind in KINDS}}


def found_rule(rules: Rules, kind: str, rule_id: str) -> Rule:
    """That rule. Raises M_NOT_FOUND."""
    for rule in rules.get(kind, ()):
        if rule.rule_id == rule_id:
            return rule
    raise not_found("There is no such push rule.")


def rule_from(kind: str, rule_id: str, body: Mapping[str, Any]) -> Rule:
    """A rule of the user's own from a request. Raises `MatrixError`."""
    if kind not in KINDS:
        raise invalid_param(f"Expected one of {', '.join(KINDS)}.")
    if rule_id.startswith("."):
        raise invalid_param("Ids that begin with a dot are those of the server's rules.")
    if not rule_id or len(rule_id) > _ID_MAX or "/" in rule_id or "\\" in rule_id:
        raise invalid_param(f"The id of a rule has 1 to {_ID_MAX} characters, and no slash.")
    conditions, pattern = None, None
    if kind in _CONDITIONED:
        conditions = body.get("conditions", [])
        if not isinstance(conditions, list) or not all(
            isinstance(one, dict) and isinstance(one.get("kind"), str) for one in conditions
        ):
            raise bad_json("conditions: expected objects with a kind")
    elif kind == "content":
        pattern = body.get("pattern")
        if not isinstance(pattern, str):
            raise MatrixError(400, "M_MISSING_PARAM", "pattern: expected a text")
    return Rule(rule_id, actions_from(body), conditions, pattern)


def actions_from(body: Mapping[str, Any]) -> list[Any]:
    """The actions of a request, without those that clients and servers have to ignore."""
    actions = body.get("actions")
    if not isinstance(actions, list):
        raise MatrixError(400, "M_MISSING_PARAM", "actions: expected a list")
    for action in actions:
        is_tweak = isinstance(action, dict) and isinstance(action.get("set_tweak"), str)
        if not is_tweak and not isinstance(action, str):
            raise bad_json("actions: expected texts, and objects with set_tweak")
    return [action for action in actions if action not in ("dont_notify", "coalesce")]


def with_rule(
    changes: Changes, kind: str, rule: Rule, before: str | None, after: str | None
) -> Changes:
    """With a rule of the user's own: before or behind another, else where it was, else first."""
    own = list(changes.own.get(kind, ()))
    places = {one.rule_id: place for place, one in enumerate(own)}
    kept = places.get(rule.rule_id)
    if kept is not None:
        # It may be disabled, and then stays so.
        rule = msgspec.structs.replace(rule, enabled=own.pop(kept).enabled)
    place = kept or 0
    for other, step in ((before, 0), (after, 1)):
        if other is not None:
            names = [one.rule_id for one in own]
            if other not in names:
                raise MatrixError(400, "M_UNKNOWN", f"before/after rule not found: {other}")
            place = names.index(other) + step
    own.insert(place, rule)
    return _checked(msgspec.structs.replace(changes, own={**changes.own, kind: own}))


def without_rule(changes: Changes, kind: str, rule_id: str) -> Changes:
    """Without that rule of the user's own. Raises M_NOT_FOUND."""
    if rule_id.startswith("."):
        raise invalid_param("The server's own rules can be disabled, not deleted.")
    found_rule(changes.own, kind, rule_id)
    own = [rule for rule in changes.own[kind] if rule.rule_id != rule_id]
    return msgspec.structs.replace(changes, own={**changes.own, kind: own})


def with_enabled(
    user_id: str, changes: Changes, kind: str, rule_id: str, *, enabled: bool
) -> Changes:
    """With that rule enabled, or not. Raises M_NOT_FOUND."""
    rule = found_rule(rules_of(user_id, changes), kind, rule_id)
    if rule.is_predefined:
        chosen = {**changes.enabled, rule_id: enabled}
        return msgspec.structs.replace(changes, enabled=chosen)
    return _with(changes, kind, msgspec.structs.replace(rule, enabled=enabled))


def with_actions(
    user_id: str, changes: Changes, kind: str, rule_id: str, body: Mapping[str, Any]
) -> Changes:
    """With other actions of that rule. Raises M_NOT_FOUND."""
    rule = found_rule(rules_of(user_id, changes), kind, rule_id)
    actions = actions_from(body)
    if rule.is_predefined:
        chosen = {**changes.actions, rule_id: actions}
        return _checked(msgspec.structs.replace(changes, actions=chosen))
    return _with(changes, kind, msgspec.structs.replace(rule, actions=actions))


def _with(changes: Changes, kind: str, rule: Rule) -> Changes:
    own = [rule if one.rule_id == rule.rule_id else one for one in changes.own[kind]]
    return _checked(msgspec.structs.replace(changes, own={**changes.own, kind: own}))


def _checked(changes: Changes) -> Changes:
    if sum(map(len, changes.own.values())) > _RULES_MAX:
        raise too_large(f"A user has at most {_RULES_MAX} push rules.")
    if len(msgspec.json.encode(changes)) > _CHANGES_BYTES_MAX:
        raise too_large(f"Push rules take at most {_CHANGES_BYTES_MAX} bytes.")
    return changes
