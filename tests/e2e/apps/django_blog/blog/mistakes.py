"""Mistakes that people make, to be switched on one by one for talks and tests.

MISTAKES=n-plus-one,missing-index,held-transaction
"""

import os

MISTAKES = frozenset(os.environ.get("MISTAKES", "").split(","))

N_PLUS_ONE = "n-plus-one" in MISTAKES  # the list of posts asks for each author by itself
MISSING_INDEX = "missing-index" in MISTAKES  # comments are not indexed by post
HELD_TRANSACTION = "held-transaction" in MISTAKES  # spam is asked about inside one
