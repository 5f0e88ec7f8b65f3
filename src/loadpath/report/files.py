"""Results written to a file, its suffix deciding the format."""

from __future__ import annotations

from pathlib import Path

from loadpath.errors import ConfigurationError


def write_output(path: Path, *, text: str, json: str) -> None:
    """Write `json` to a .json file, `text` to a .txt one.

    Raises `ConfigurationError` for another suffix or a file that cannot be written.
    """
    forms = {".json": json, ".txt": text}
    if path.suffix not in forms:
        raise ConfigurationError(f"-o {path}: expected a file ending in {' or '.join(forms)}")
    try:
        path.write_text(forms[path.suffix], encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"-o {path}: {error.strerror}") from error
