"""What the service says of itself: Schemathesis tries to catch it out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from social.api import ENDPOINTS
from social.testing import Social

EXAMPLES = int(os.environ.get("SOCIAL_SCHEMA_EXAMPLES", "3"))
"""Made-up requests for each operation."""
PHASES = os.environ.get("SOCIAL_SCHEMA_PHASES", "fuzzing")
"""`coverage,fuzzing` also tries the bounds of every parameter: some 2,000 requests more."""


def test_the_document_has_every_endpoint(social: Social) -> None:
    paths = social.client.get("/api/openapi.json").json()["paths"]
    found = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert found == {(one.method, one.path) for one in ENDPOINTS} - {("GET", "/api/openapi.json")}
    home = paths["/api/v1/timelines/home"]["get"]
    assert (home["security"], home["x-scope"]) == ([{"Token": []}], "read:statuses")
    assert [one["name"] for one in home["parameters"]] == ["max_id", "since_id", "min_id", "limit"]


def test_no_request_breaks_the_service(social: Social, tmp_path: Path) -> None:
    """No answer is a server error or has a status that is not documented."""
    done = subprocess.run(
        [
            Path(sys.executable).parent / "schemathesis",
            "run",
            f"{social.process.url}/api/openapi.json",
            f"--header=Authorization: Bearer {social.user().token}",
            "--seed=1",
            f"--max-examples={EXAMPLES}",
            f"--phases={PHASES}",
            "--generation-database=none",
            # A stream never ends.
            "--exclude-path-regex=/streaming(?!/health)",
            "--checks=not_a_server_error,status_code_conformance",
            "--continue-on-failure",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    social.assert_no_drift()
