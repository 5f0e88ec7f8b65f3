"""The inner loops of replays, compiled. Requests come grouped by key, by time within a key.

Every array is made by the caller; what a kernel fills is named last.
"""

from __future__ import annotations

from loadpath.caching.stream import Flags, Floats, Ids
from loadpath.model.jit import kept


@kept
def replay_groups(
    first: Flags,
    at_s: Floats,
    took_s: Floats,
    stored: Flags,
    changed_s: Floats,
    ttl_s: float,
    revalidate_s: float,
    source: Ids,
    fetched: Flags,
) -> int:
    """One TTL: fills `source` (indices of the grouped order, -1: the service) and `fetched`.

    `first` marks the first request of each key; `changed_s` is when the key was last written
    before the request, -inf for never. Returns the number of hits.
    """
    hits = 0
    entry = -1  # the request that fetched what is stored, or is in flight
    behind = -1  # the request whose refresh behind a stale entry is in flight
    for i in range(len(at_s)):
        if first[i]:
            entry = -1
            behind = -1
        now = at_s[i]
        if behind >= 0 and now >= at_s[behind] + took_s[behind]:
            if stored[behind]:
                entry = behind
            behind = -1
        if behind >= 0 and changed_s[i] > at_s[behind]:
            behind = -1
        if entry >= 0 and (not stored[entry] or changed_s[i] > at_s[entry]):
            entry = behind
            behind = -1
        fetched[i] = False
        source[i] = -1
        if entry >= 0:
            fresh_until = at_s[entry] + took_s[entry] + ttl_s
            if now < fresh_until:  # in flight it is waited for, even at a TTL of 0
                source[i] = entry
            elif now < fresh_until + revalidate_s:
                source[i] = entry
                if behind < 0:
                    behind = i
                    fetched[i] = True
        if source[i] >= 0:
            hits += 1
        else:
            entry = i
            fetched[i] = True
    return hits


@kept
def count_groups(
    first: Flags,
    at_s: Floats,
    took_s: Floats,
    stored: Flags,
    changed_s: Floats,
    body_bytes: Ids,
    ttls_s: Floats,
    hits: Ids,
    hit_bytes: Ids,
) -> None:
    """Many TTLs: fills `hits` and `hit_bytes`, one for each, as `replay_groups` would."""
    for which in range(len(ttls_s)):
        ttl_s = ttls_s[which]
        count = 0
        size = 0
        born = 0.0
        fresh_until = 0.0
        holds = False
        for i in range(len(at_s)):
            if first[i]:
                holds = False
            now = at_s[i]
            if holds and now < fresh_until and changed_s[i] <= born:
                count += 1
                size += body_bytes[i]
            else:
                holds = stored[i]
                born = now
                fresh_until = now + took_s[i] + ttl_s
        hits[which] = count
        hit_bytes[which] = size


@kept
def last_changes(
    key: Ids, at_s: Floats, change_key: Ids, change_at_s: Floats, changed_s: Floats
) -> None:
    """Fills `changed_s`: when each request's key was last written by then. Both sorted by key."""
    c = 0
    for i in range(len(key)):
        while c < len(change_key) and change_key[c] < key[i]:
            c += 1
        if i > 0 and key[i] == key[i - 1]:
            changed_s[i] = changed_s[i - 1]
        while c < len(change_key) and change_key[c] == key[i] and change_at_s[c] <= at_s[i]:
            changed_s[i] = change_at_s[c]
            c += 1
