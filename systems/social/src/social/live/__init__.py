"""Streams: what happens, told between processes over NATS and shown to whoever may see it."""
