"""Records of rollbacks that wait on disk until the database can take them. Standard library only.

A rollback acts first and records after (DESIGN.md, invariant 6): the record must not need what is broken.
"""

import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def write(directory: Path, record: dict[str, Any]) -> Path:
    """Put a record on disk, durable when this returns. It must carry a `uid`, by which it is stored once."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{time.time_ns():020d}-{uuid.UUID(record['uid']).hex}.json"
    temporary = path.with_suffix(".tmp")
    with temporary.open("w") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return path


def waiting(directory: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield what waits, oldest first. What cannot be read is set aside under another name, never deleted."""
    for path in sorted(directory.glob("*.json")):
        try:
            record = json.loads(path.read_text())
        except FileNotFoundError:
            continue  # another process stored it in the meantime
        except ValueError:
            path.replace(path.with_suffix(".unreadable"))
            continue
        yield path, record
