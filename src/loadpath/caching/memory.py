"""What a cache would take in memory."""

from __future__ import annotations

ENTRY_OVERHEAD_BYTES = 200
"""Beside the body: the key's text and the headers, and what the store keeps with each.

Of the order of what Valkey takes for an entry with a short key (some 90 bytes) and a few headers;
an assumption, to be replaced where entries are measured.
"""


def cache_bytes(entries: int, body_bytes: int, overhead_bytes: int = ENTRY_OVERHEAD_BYTES) -> int:
    """Bytes for so many entries with so many bytes of bodies in all."""
    return body_bytes + entries * overhead_bytes
