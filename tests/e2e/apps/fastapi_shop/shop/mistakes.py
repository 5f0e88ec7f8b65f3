"""Mistakes that people make, to be switched on one by one for talks and tests.

MISTAKES=n-plus-one,missing-index,held-transaction
"""

import os

MISTAKES = frozenset(os.environ.get("MISTAKES", "").split(","))

N_PLUS_ONE = "n-plus-one" in MISTAKES  # GET /orders loads the lines of each order by itself
MISSING_INDEX = "missing-index" in MISTAKES  # orders are not indexed by customer
HELD_TRANSACTION = "held-transaction" in MISTAKES  # the price of shipping is asked for inside one
