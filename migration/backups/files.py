"""Files of backups: whole or not there, and recognised by their checksum."""

import hashlib
import os
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def checksum_of(file: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def unfinished(file: Path) -> Path:
    """Where it is written until it is complete."""
    return file.with_suffix(".part")


def contents_beside(file: Path) -> Path:
    """Where it says what is in it, for whoever restores without a database."""
    return file.with_suffix(".json")


def put_in_place(file: Path) -> None:
    """Give a complete file its name, on disk when this returns; only the owner reads it."""
    part = unfinished(file)
    with part.open("rb") as opened:
        os.fsync(opened.fileno())
    part.chmod(0o600)
    part.rename(file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def remove(file: Path) -> None:
    """Delete a backup's files, as far as they are there."""
    for path in (file, contents_beside(file), unfinished(file)):
        path.unlink(missing_ok=True)
