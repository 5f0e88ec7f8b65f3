"""Finds the handler of a path. Matrix puts ids with any character into path segments, so the path
is split before it is decoded.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar
from urllib.parse import unquote_to_bytes

from messaging.errors import invalid_param, not_allowed, unrecognized

__all__ = ["Router"]

H = TypeVar("H")
_PARAMETER = "{}"


class _Node(Generic[H]):
    __slots__ = ("children", "handlers")

    def __init__(self) -> None:
        self.children: dict[str, _Node[H]] = {}
        self.handlers: dict[str, H] = {}


class Router(Generic[H]):
    """Paths such as `/rooms/{}/send/{}/{}`; a literal segment, which may be empty, goes
    before a parameter."""

    def __init__(self) -> None:
        self._root: _Node[H] = _Node()

    def add(self, method: str, pattern: str, handler: H) -> None:
        """Make it the handler of that method and path. Raises `ValueError` when there is one."""
        node = self._root
        for segment in pattern[1:].split("/"):
            node = node.children.setdefault(segment, _Node())
        if method in node.handlers:
            raise ValueError(f"{method} {pattern} has a handler already")
        node.handlers[method] = handler

    def find(self, method: str, raw_path: str) -> tuple[H, list[str]]:
        """The handler, and the decoded parameters in the order of the path.

        Raises `MatrixError`: 404 or 405 M_UNRECOGNIZED, 400 for a segment that is not UTF-8.
        """
        node = self._root
        given: list[str] = []
        for segment in raw_path[1:].split("/"):
            child = node.children.get(segment) if segment != _PARAMETER else None
            if child is None:
                child = node.children.get(_PARAMETER)
                if child is None:
                    raise unrecognized()
                given.append(segment)
            node = child
        handler = node.handlers.get(method)
        if handler is None:
            if not node.handlers:
                raise unrecognized()
            raise not_allowed(node.handlers)
        return handler, [_decoded(segment) for segment in given]

    def routes(self) -> list[tuple[str, str]]:
        """Every method and pattern, for documentation and tests."""
        found: list[tuple[str, str]] = []

        def walk(node: _Node[Any], path: str) -> None:
            found.extend((method, path) for method in node.handlers)
            for segment, child in node.children.items():
                walk(child, f"{path}/{segment}")

        walk(self._root, "")
        return sorted(found, key=lambda route: (route[1], route[0]))


def _decoded(segment: str) -> str:
    if "%" not in segment and segment.isascii():
        return segment
    try:
        text = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise invalid_param("expected percent-encoded UTF-8 in the path") from None
    if "\0" in text:
        raise invalid_param("expected no NUL in the path")
    return text
