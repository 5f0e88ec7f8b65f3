"""Is a comment spam?"""

import json
import os
from urllib.request import Request, urlopen

SPAM_CHECK_URL = os.environ.get("SPAM_CHECK_URL")


def is_spam(text: str) -> bool:
    """What the spam check says, or no when there is none to ask."""
    if not SPAM_CHECK_URL:
        return False
    asked = Request(
        SPAM_CHECK_URL,
        data=json.dumps({"text": text}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(asked, timeout=5) as reply:
        return bool(json.load(reply)["spam"])
