"""Text from outside, made fit to be shown: names, replies, messages of servers."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_BREAK = re.compile(r"[\t-\r\x85\u2028\u2029]+")
# Besides the control characters those that turn the direction of text around.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def strip_controls(text: str) -> str:
    """The text on one line, without what could steer a terminal."""
    return _CONTROL.sub("", _BREAK.sub(" ", _ESCAPE.sub("", text)))
