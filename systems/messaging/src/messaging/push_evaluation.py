"""Whether push rules notify of an event, and highlight it. Pure.

Only for users who changed what their rules do: those of all others are counted when an event is
appended (`mentions`). Patterns are matched without backtracking, since users write them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from messaging.power import PowerLevels
from messaging.push_rules import Rule, changes_from, rules_of

__all__ = [
    "OwnRules",
    "Surroundings",
    "enabled_rules",
    "matching_rule",
    "notifies",
    "own_rules",
    "verdict",
]

_IS = re.compile(r"(==|<=|>=|<|>|)([0-9]{1,9})", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_]")
_COMPARED: dict[str, Callable[[int, int], bool]] = {
    "": int.__eq__,
    "==": int.__eq__,
    "<": int.__lt__,
    ">": int.__gt__,
    "<=": int.__le__,
    ">=": int.__ge__,
}
# "As of v1.7 … should only be enabled if the event does not have an m.mentions property".
_WITHOUT_MENTIONS = frozenset(
    f".m.rule.{name}" for name in ("contains_display_name", "roomnotif", "contains_user_name")
)


class Surroundings(msgspec.Struct, frozen=True):
    """What a condition may ask of the room of an event, as it is now."""

    room_id: str
    members: int
    display_name: str | None
    power: PowerLevels


class OwnRules(msgspec.Struct, frozen=True):
    """The enabled rules of a user who changed them, in the order in which they are asked."""

    user_id: str
    rules: tuple[tuple[str, Rule], ...]
    is_silent: bool
    """Whether nothing ever notifies: the master rule is enabled."""


@lru_cache(maxsize=512)
def own_rules(user_id: str, content: bytes | None) -> OwnRules | None:
    """From the changes as they are kept; None when events count for them as for everybody."""
    changes = changes_from(content)
    rules, usual = rules_of(user_id, changes), rules_of(user_id, changes_from(None))

    def counting(kinds: Mapping[str, list[Rule]]) -> list[tuple[str, str, bool, bool, bool]]:
        return [
            (kind, rule.rule_id, rule.enabled, *_told(rule))
            for kind, those in kinds.items()
            for rule in those
        ]

    if counting(rules) == counting(usual):
        return None
    master = rules["override"][0]
    return OwnRules(
        user_id, enabled_rules(user_id, content), master.enabled and not _told(master)[0]
    )


@lru_cache(maxsize=4_096)
def enabled_rules(user_id: str, content: bytes | None) -> tuple[tuple[str, Rule], ...]:
    """The enabled rules of anybody, with their kinds, in the order in which they are asked."""
    rules = rules_of(user_id, changes_from(content))
    return tuple((kind, rule) for kind, those in rules.items() for rule in those if rule.enabled)


def notifies(rule: Rule, *, highlights: bool = False) -> bool:
    """Whether it notifies; with `highlights`, whether it highlights as well."""
    return _told(rule)[highlights]


def _told(rule: Rule) -> tuple[bool, bool]:
    """Whether its actions notify, and highlight."""
    notifies = "notify" in rule.actions
    highlights = any(
        isinstance(action, dict)
        and action.get("set_tweak") == "highlight"
        and action.get("value", True) is not False
        for action in rule.actions
    )
    return notifies, notifies and highlights


def verdict(
    own: OwnRules, kind: str, sender: str, content: Mapping[str, Any], around: Surroundings
) -> tuple[bool, bool]:
    """Whether a message counts as unread for that user, and as a highlight."""
    event = {"type": kind, "sender": sender, "room_id": around.room_id, "content": content}
    rule = matching_rule(own.rules, event, around)
    return (False, False) if rule is None else _told(rule)


def matching_rule(
    rules: Iterable[tuple[str, Rule]], event: Mapping[str, Any], around: Surroundings
) -> Rule | None:
    """The first rule that the event matches: what it does is what is done."""
    for kind, rule in rules:
        if rule.rule_id in _WITHOUT_MENTIONS and "m.mentions" in event["content"]:
            continue
        if _matches(kind, rule, event, around):
            return rule
    return None


def _matches(kind: str, rule: Rule, event: Mapping[str, Any], around: Surroundings) -> bool:
    if kind == "room":
        return rule.rule_id == around.room_id
    if kind == "sender":
        return bool(rule.rule_id == event["sender"])
    if kind == "content":
        return _in_body(event, rule.pattern or "")
    return all(_holds(condition, event, around) for condition in rule.conditions or ())


def _holds(condition: Mapping[str, Any], event: Mapping[str, Any], around: Surroundings) -> bool:
    kind, key = condition.get("kind"), condition.get("key")
    if kind == "contains_display_name":
        body = event["content"].get("body")
        name = around.display_name
        return isinstance(body, str) and bool(name) and _contains(body, [str(name)])
    if kind == "room_member_count":
        match = _IS.fullmatch(str(condition.get("is", "")))
        return match is not None and _COMPARED[match[1]](around.members, int(match[2]))
    if not isinstance(key, str):
        return False
    if kind == "sender_notification_permission":
        needed = around.power.notifications.get(key, 50)
        return around.power.of_user(event["sender"]) >= needed
    if kind == "event_match":
        pattern = condition.get("pattern")
        if not isinstance(pattern, str):
            return False
        if key == "content.body":
            return _in_body(event, pattern)
        found = _property(event, key)
        return isinstance(found, str) and _is_all(found, pattern)
    if kind == "event_property_is":
        return _same(_property(event, key), condition.get("value"))
    if kind == "event_property_contains":
        found = _property(event, key)
        value = condition.get("value")
        return isinstance(found, list) and any(_same(one, value) for one in found)
    # A condition that is not known matches nothing.
    return False


_ABSENT = object()


@lru_cache(maxsize=4_096)
def _path(key: str) -> tuple[str, ...]:
    parts = [""]
    letters = iter(key)
    for letter in letters:
        if letter == ".":
            parts.append("")
            continue
        if letter == "\\":
            after = next(letters, "")
            letter = after if after in (".", "\\") else letter + after  # noqa: PLW2901
        parts[-1] += letter
    return tuple(parts)


def _property(event: Mapping[str, Any], key: str) -> Any:
    found: Any = event
    for part in _path(key):
        if not isinstance(found, dict) or part not in found:
            return _ABSENT
        found = found[part]
    return found


def _same(found: Any, value: Any) -> bool:
    """Equal, and of the same type: true is not 1. Objects and lists are equal to nothing."""
    return type(found) is type(value) and isinstance(value, str | int | None) and found == value


def _in_body(event: Mapping[str, Any], pattern: str) -> bool:
    body = event["content"].get("body")
    return isinstance(body, str) and _contains(body, pattern.split("*"))


@lru_cache(maxsize=4_096)
def _piece(text: str) -> re.Pattern[str]:
    """A part of a pattern that has no star, so it matches a fixed number of characters."""
    return re.compile("".join("." if c == "?" else re.escape(c) for c in text), re.I | re.S)


def _is_all(text: str, pattern: str) -> bool:
    """Whether the pattern matches all of the text."""
    first, *others = pattern.split("*")
    if not others:
        return _piece(first).fullmatch(text) is not None
    begun = _piece(first).match(text)
    if begun is None:
        return False
    at = begun.end()
    # Each part as early as can be: that leaves most to the parts behind it.
    for part in others[:-1]:
        found = _piece(part).search(text, at)
        if found is None:
            return False
        at = found.end()
    start = len(text) - len(others[-1])
    return start >= at and _piece(others[-1]).fullmatch(text, start) is not None


def _contains(text: str, parts: list[str]) -> bool:
    """Whether the text contains the parts in order, from a word boundary to another."""
    at = 0
    for number, part in enumerate(parts):
        is_first, is_last = number == 0, number == len(parts) - 1
        if (is_first or is_last) and not part:
            # A star at an end reaches to the end of the text.
            continue
        while True:
            found = _piece(part).search(text, at)
            if found is None:
                return False
            if (not is_first or _is_boundary(text, found.start() - 1)) and (
                not is_last or _is_boundary(text, found.end())
            ):
                at = found.end()
                break
            at = found.start() + 1
    return any(parts) or "*" in "*".join(parts)


def _is_boundary(text: str, at: int) -> bool:
    return not 0 <= at < len(text) or _WORD.match(text, at) is None
