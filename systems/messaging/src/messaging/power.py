"""Power levels (Matrix, room version 10). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from messaging.accounts import is_user_id
from messaging.errors import MatrixError, bad_json

__all__ = ["PowerLevels", "levels_changed", "power_levels_of"]

_NAMES = ("ban", "kick", "invite", "redact", "events_default", "state_default", "users_default")
_DEFAULTS = {
    "ban": 50,
    "kick": 50,
    "invite": 0,
    "redact": 50,
    "events_default": 0,
    "state_default": 50,
    "users_default": 0,
}


class PowerLevels(msgspec.Struct, frozen=True):
    """Who may do what in a room."""

    users: dict[str, int]
    events: dict[str, int]
    notifications: dict[str, int]
    levels: dict[str, int]

    def of_user(self, user_id: str) -> int:
        """The level of a user."""
        return self.users.get(user_id, self.levels["users_default"])

    def to_send(self, kind: str, *, is_state: bool) -> int:
        """The level that sending an event of that type takes."""
        default = self.levels["state_default" if is_state else "events_default"]
        return self.events.get(kind, default)

    def to(self, action: str) -> int:
        """The level for `ban`, `kick`, `invite` or `redact`."""
        return self.levels[action]

    @property
    def to_notify_room(self) -> int:
        """The level that mentioning everybody takes."""
        return self.notifications.get("room", 50)


def _integer(value: Any, where: str) -> int:
    # A bool is an int to Python, not to Matrix.
    if type(value) is not int:
        raise bad_json(f"{where}: expected a whole number")
    return value


def _levels(content: Mapping[str, Any], name: str) -> dict[str, int]:
    given = content.get(name, {})
    if not isinstance(given, dict):
        raise bad_json(f"{name}: expected an object")
    return {key: _integer(value, f"{name}.{key}") for key, value in given.items()}


def power_levels_of(content: Mapping[str, Any] | None, creator: str) -> PowerLevels:
    """The levels of an `m.room.power_levels`; None: the room has none yet.

    Raises M_BAD_JSON for a content that is not allowed.
    """
    if content is None:
        return PowerLevels({creator: 100}, {}, {}, {**_DEFAULTS, "state_default": 0})
    users = _levels(content, "users")
    if wrong := next((user for user in users if not is_user_id(user)), None):
        raise bad_json(f"users: {wrong!r} is no user id")
    named = {n: _integer(content.get(n, _DEFAULTS[n]), n) for n in _NAMES}
    return PowerLevels(users, _levels(content, "events"), _levels(content, "notifications"), named)


def levels_changed(sender: str, old: PowerLevels, new: PowerLevels) -> None:
    """Raises M_FORBIDDEN when the sender may not change `old` into `new`.

    Nobody may take from or give to others what they have not more of, or not have, themselves.
    """
    own = old.of_user(sender)

    def check(before: int | None, after: int | None, *, of_equal: bool = False) -> None:
        if before == after:
            return
        if before is not None and (before > own or (of_equal and before == own)):
            raise _refused(before)
        if after is not None and after > own:
            raise _refused(after)

    for name in _NAMES:
        check(old.levels[name], new.levels[name])
    for before, after in ((old.events, new.events), (old.notifications, new.notifications)):
        for key in before.keys() | after.keys():
            check(before.get(key), after.get(key))
    for user in old.users.keys() | new.users.keys():
        check(old.users.get(user), new.users.get(user), of_equal=user != sender)


def _refused(level: int) -> MatrixError:
    return MatrixError(403, "M_FORBIDDEN", f"You may not change a level of {level}.")
