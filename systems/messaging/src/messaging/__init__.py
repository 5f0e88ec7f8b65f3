"""A messaging server: the Matrix client-server API on PostgreSQL, Valkey and NATS."""

__version__ = "0.1.0"
