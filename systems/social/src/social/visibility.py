"""Who may see a status: the one rule that every read of statuses goes through, as SQL.

`s` is the status, $1 the viewer, NULL for anybody. What is not readable does not exist for the
viewer (404); what is not wanted is left out of lists, though it may be looked at by its id.
"""

from __future__ import annotations

from typing import Final

from social.entities import Visibility
from social.planning import BY_KEY

__all__ = [
    "AT_HOME",
    "DIRECT",
    "IN_PUBLIC",
    "NAMES",
    "PRIVATE",
    "PUBLIC",
    "READABLE",
    "UNLISTED",
    "WANTED",
]

PUBLIC, UNLISTED, PRIVATE, DIRECT = range(4)
NAMES: Final[tuple[Visibility, ...]] = ("public", "unlisted", "private", "direct")

READABLE: Final = f"""(
    s.account_id = $1
    OR NOT EXISTS (SELECT FROM block
                   WHERE account_id = s.account_id AND target_id = $1 {BY_KEY})
    AND (s.visibility <= 1
         OR EXISTS (SELECT FROM mention WHERE status_id = s.id AND account_id = $1 {BY_KEY})
         OR s.visibility = 2
            AND EXISTS (SELECT FROM follow
                        WHERE account_id = $1 AND target_id = s.account_id {BY_KEY}))
)"""

WANTED: Final = f"""(
    NOT EXISTS (SELECT FROM block WHERE account_id = $1 AND target_id = s.account_id {BY_KEY})
    AND NOT EXISTS (SELECT FROM mute WHERE account_id = $1 AND target_id = s.account_id
                        AND (expires_at IS NULL OR expires_at > now()) {BY_KEY})
)"""

IN_PUBLIC: Final = """(
    s.visibility = 0 AND s.reblog_of_id IS NULL
    AND (s.in_reply_to_account_id IS NULL OR s.in_reply_to_account_id = s.account_id)
)"""
"""What stands in the public timeline."""

AT_HOME: Final = """(
    s.visibility < 3
    AND (s.reblog_of_id IS NULL OR f.show_reblogs)
    AND (s.in_reply_to_account_id IS NULL
         OR s.in_reply_to_account_id IN (s.account_id, f.account_id)
         OR s.account_id = f.account_id
         OR EXISTS (SELECT FROM follow AS also WHERE also.account_id = f.account_id
                        AND also.target_id = s.in_reply_to_account_id))
)"""
"""What of a followed account stands at home: `f` is the follow, `f.account_id` whose home it is.
Direct messages do not, nor do replies to people whom one does not follow."""
