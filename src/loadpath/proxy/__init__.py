"""A cache before the service: shared, keyed as HTTP says, one fetch at a time for a key."""

from loadpath.proxy.front import Front
from loadpath.proxy.plan import Counts, RuleCounts

__all__ = ["Counts", "Front", "RuleCounts"]
