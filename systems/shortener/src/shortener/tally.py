"""The tally: links and visits of each domain and tag, so that nothing counts rows of visits."""

from __future__ import annotations

__all__ = ["TALLY_COUNTED"]

# Rows are locked in the order of their scopes, by everybody, so two cannot wait crosswise.
TALLY_COUNTED = """
INSERT INTO tally AS t (scope, total, bots)
SELECT scope, sum(total), sum(bots) FROM counted, unnest(scopes) AS s (scope)
GROUP BY scope ORDER BY scope
ON CONFLICT (scope, slot) DO UPDATE
SET total = t.total + excluded.total, bots = t.bots + excluded.bots"""
"""Adds what a statement counted to the tally of what it was counted for.

For every statement that changes `total` and `bots` of link_counter: `counted` is to be its part
that does so and returns `scopes`, `total` and `bots`, the last two as differences.
"""
