"""Knobs: the decisions of a service that an environment variable switches."""

from __future__ import annotations

import msgspec


class Knob(msgspec.Struct, frozen=True):
    """`env` is the variable; `values` are those worth trying; `default` is one of them."""

    name: str
    env: str
    default: str
    values: tuple[str, ...]
