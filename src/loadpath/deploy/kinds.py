"""The kinds of dependency that can be embedded. A new kind is a new file and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from loadpath.deploy.kind import Kind
from loadpath.deploy.nats import Nats
from loadpath.deploy.postgres import Postgres
from loadpath.deploy.valkey import Valkey

KINDS: Mapping[str, Kind] = {"postgres": Postgres(), "valkey": Valkey(), "nats": Nats()}
"""Every kind, by the word that `kind = …` takes."""
