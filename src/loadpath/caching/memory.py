"""What a cache would take in memory."""

from __future__ import annotations

ENTRY_OVERHEAD_BYTES = 200


def cache_bytes(entries: int, body_bytes: int, overhead_bytes: int = ENTRY_OVERHEAD_BYTES) -> int:
    """Bytes for so many entries with so many bytes of bodies in all."""
    return body_bytes + entries * overhead_bytes
