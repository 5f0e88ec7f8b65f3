"""What-ifs, one a file: each is predicted on a model and, where that can be done, made for real.

`parse` reads them from the words of a user (docs/reference/changes.md).
"""

from loadpath.changes.change import (
    Change,
    ChangeError,
    NotAppliedError,
    NotPredictedError,
    applied,
)
from loadpath.changes.language import parse, parse_all
from loadpath.changes.words import Known

__all__ = [
    "Change",
    "ChangeError",
    "Known",
    "NotAppliedError",
    "NotPredictedError",
    "applied",
    "parse",
    "parse_all",
]
