"""Endpoints of push rules. What a user changed is kept as account data, so /sync tells of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from systems_common.contention import tried_again
from systems_common.database import transaction

from messaging.account_data import READ_DATA, STORE_DATA
from messaging.errors import bad_json, not_found
from messaging.http import EMPTY, Reply, Request, reply_json
from messaging.push_rules import (
    DATA_TYPE,
    Changes,
    Rule,
    changes_from,
    found_rule,
    rule_from,
    rules_json,
    rules_of,
    shown,
    with_actions,
    with_enabled,
    with_rule,
    without_rule,
)
from messaging.service import Route, Service
from messaging.sessions import Session

__all__ = ["ROUTES"]

_ALL = "/_matrix/client/v3/pushrules"
_RULE = f"{_ALL}/global/{{}}/{{}}"


async def _kept(service: Service, session: Session) -> bytes | None:
    content: bytes | None = await service.database.fetchval(
        READ_DATA, session.user_no, 0, DATA_TYPE
    )
    return content


async def get_all(service: Service, request: Request) -> Reply:
    """Every rule."""
    session = request.session
    return reply_json(rules_json(session.user_id, await _kept(service, session)))


async def get_global(service: Service, request: Request) -> Reply:
    """Every rule of the one scope there is, or those of a kind."""
    session = request.session
    rules: Any = rules_json(session.user_id, await _kept(service, session))["global"]
    kind = request.args[0] if request.args else ""
    if kind and kind not in rules:
        raise not_found("There is no such kind of push rules.")
    return reply_json(rules[kind] if kind else rules)


async def _rule(service: Service, request: Request) -> Rule:
    session = request.session
    kind, rule_id = request.args
    rules = rules_of(session.user_id, changes_from(await _kept(service, session)))
    return found_rule(rules, kind, rule_id)


async def get_rule(service: Service, request: Request) -> Reply:
    """One rule; those of the kind when behind the last slash stands nothing."""
    if not request.args[1]:
        return await get_global(service, request)
    return reply_json(shown(await _rule(service, request)))


async def get_enabled(service: Service, request: Request) -> Reply:
    """Whether it is enabled."""
    return reply_json({"enabled": (await _rule(service, request)).enabled})


async def get_actions(service: Service, request: Request) -> Reply:
    """What it does."""
    return reply_json({"actions": (await _rule(service, request)).actions})


@tried_again
async def _change(service: Service, session: Session, edit: Callable[[Changes], Changes]) -> None:
    async with transaction(service.database) as connection:
        # Its lock makes changes of the same user wait for each other.
        await service.changes.touch(connection, [session.user_id])
        kept = await connection.fetchval(READ_DATA, session.user_no, 0, DATA_TYPE)
        changed = msgspec.json.encode(edit(changes_from(kept)))
        await connection.execute(STORE_DATA, session.user_no, 0, DATA_TYPE, changed)
    service.wake.touched(session.user_no)


async def put_rule(service: Service, request: Request) -> Reply:
    """Add a rule, or change one of the user's own."""
    kind, rule_id = request.args
    rule = rule_from(kind, rule_id, await request.object())
    before, after = request.query.get("before"), request.query.get("after")
    edit = partial(with_rule, kind=kind, rule=rule, before=before, after=after)
    await _change(service, request.session, edit)
    return EMPTY


async def delete_rule(service: Service, request: Request) -> Reply:
    """Take a rule of the user's own away."""
    kind, rule_id = request.args
    await _change(service, request.session, partial(without_rule, kind=kind, rule_id=rule_id))
    return EMPTY


async def put_enabled(service: Service, request: Request) -> Reply:
    """Enable a rule, or disable it."""
    kind, rule_id = request.args
    session = request.session
    enabled = (await request.object()).get("enabled")
    if not isinstance(enabled, bool):
        raise bad_json("enabled: expected true or false")

    def edit(changes: Changes) -> Changes:
        return with_enabled(session.user_id, changes, kind, rule_id, enabled=enabled)

    await _change(service, session, edit)
    return EMPTY


async def put_actions(service: Service, request: Request) -> Reply:
    """Change what a rule does."""
    kind, rule_id = request.args
    session = request.session
    body = await request.object()

    def edit(changes: Changes) -> Changes:
        return with_actions(session.user_id, changes, kind, rule_id, body)

    await _change(service, session, edit)
    return EMPTY


ROUTES = [
    Route("GET", _ALL, get_all),
    Route("GET", f"{_ALL}/", get_all),
    Route("GET", f"{_ALL}/global", get_global),
    Route("GET", f"{_ALL}/global/", get_global),
    Route("GET", f"{_ALL}/global/{{}}", get_global),
    Route("GET", _RULE, get_rule),
    Route("PUT", _RULE, put_rule),
    Route("DELETE", _RULE, delete_rule),
    Route("GET", f"{_RULE}/enabled", get_enabled),
    Route("PUT", f"{_RULE}/enabled", put_enabled),
    Route("GET", f"{_RULE}/actions", get_actions),
    Route("PUT", f"{_RULE}/actions", put_actions),
]
