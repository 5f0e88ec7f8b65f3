"""Files that are written once and read often: on disk, or in any store that speaks S3."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from systems_common.blobs.base import (
    BlobMissingError,
    Blobs,
    BlobStoreError,
    BlobTooLargeError,
    Content,
    Spool,
    checked_name,
)
from systems_common.blobs.disk import DiskBlobs
from systems_common.blobs.s3 import S3Blobs, parse_s3_url

__all__ = [
    "BlobMissingError",
    "BlobStoreError",
    "BlobTooLargeError",
    "Blobs",
    "Content",
    "DiskBlobs",
    "S3Blobs",
    "Spool",
    "blobs_of",
    "checked_name",
    "temporary_folder",
]


def blobs_of(place: str) -> DiskBlobs | S3Blobs:
    """The store at a place: an absolute folder, or `s3://KEY:SECRET@HOST/BUCKET`.

    Nothing is opened yet. Raises `ValueError` that says what was expected.
    """
    if place.startswith("s3://"):
        return S3Blobs(parse_s3_url(place))
    if not Path(place).is_absolute():
        raise ValueError("expected an absolute folder or s3://KEY:SECRET@HOST/BUCKET")
    return DiskBlobs(Path(place))


def temporary_folder(name: str, shared_by: str) -> str:
    """A folder for trials, the same for all processes that share something, such as a database."""
    digest = hashlib.sha256(shared_by.encode()).hexdigest()[:24]
    return str(Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}-{digest}")
