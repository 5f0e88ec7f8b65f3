"""Knobs: the decisions of a service that an environment variable switches."""

from __future__ import annotations

import msgspec


class Knob(msgspec.Struct, frozen=True):
    """`env` is the variable; `values` are those worth trying; `default` is one of them.

    `pool` says what it means to a model: its values are how many connections a worker has at most
    to the dependency of that name, or, of `service`, how many requests it works at at once. None: a
    model knows nothing of it.
    """

    name: str
    env: str
    default: str
    values: tuple[str, ...]
    pool: str | None = None
