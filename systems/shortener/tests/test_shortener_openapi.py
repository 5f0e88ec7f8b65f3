"""What the service says of itself: Schemathesis tries to catch it out, and it is Shlink's API."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from shortener.testing import API_KEY, Starter

EXAMPLES = int(os.environ.get("SHORTENER_SCHEMA_EXAMPLES", "5"))
"""Made-up requests for each operation."""
PHASES = os.environ.get("SHORTENER_SCHEMA_PHASES", "fuzzing")
"""`coverage,fuzzing`, which acceptance has, also tries the bounds of every parameter."""


def test_no_request_breaks_the_schema_or_the_service(starter: Starter, tmp_path: Path) -> None:
    """Every answer has a documented status, type and shape; none is a server error.

    `mercure-info` is left out: its only answer is Shlink's 501. So is `events`, which never ends,
    and `positive_data_acceptance`: that a long URL has a host, or a date a month, is more than a
    schema says.
    """
    with starter() as shortener:
        done = subprocess.run(
            [
                Path(sys.executable).parent / "schemathesis",
                "run",
                f"{shortener.process.url}/rest/v3/docs/openapi.json",
                f"--header=X-Api-Key: {API_KEY}",
                "--seed=1",
                f"--max-examples={EXAMPLES}",
                f"--phases={PHASES}",
                "--generation-database=none",
                "--exclude-operation-id=mercureInfo",
                "--exclude-operation-id=liveEvents",
                "--exclude-checks=positive_data_acceptance",
                "--continue-on-failure",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
        shortener.assert_no_drift()
