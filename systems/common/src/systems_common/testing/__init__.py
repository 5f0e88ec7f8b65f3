"""Real servers and real service processes for the tests of the systems (extra: testing)."""

from systems_common.testing.databases import Commands, new_database, on_database
from systems_common.testing.measuring import (
    cpu_s,
    machine,
    others_busy_cores,
    resident_bytes,
    write_block,
)
from systems_common.testing.processes import (
    descendants,
    free_port,
    is_running,
    kill_tree,
    spawn,
    wait_until,
)
from systems_common.testing.servers import (
    EmbeddedServer,
    nats_server,
    postgres_server,
    private_folder,
    s3_server,
    valkey_server,
)
from systems_common.testing.services import GranianService, granian_service

__all__ = [
    "Commands",
    "EmbeddedServer",
    "GranianService",
    "cpu_s",
    "descendants",
    "free_port",
    "granian_service",
    "is_running",
    "kill_tree",
    "machine",
    "nats_server",
    "new_database",
    "on_database",
    "others_busy_cores",
    "postgres_server",
    "private_folder",
    "resident_bytes",
    "s3_server",
    "spawn",
    "valkey_server",
    "wait_until",
    "write_block",
]
