"""The exact queues of `tests/known` are what statistics of response times are held against."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "known"))
