"""The head of the audit log's chain, kept on disk beside the route file: a log whose tail was cut does not reach it."""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings
from prometheus_client import Counter

log = structlog.get_logger(__name__)

_FAILED = Counter("lekiwi_migration_anchor_failures", "Heads of the audit log that could not be anchored on disk")


@dataclass(frozen=True, slots=True)
class Head:
    """The latest entry that was anchored."""

    sequence: int
    hash: str


class UnreadableAnchor(Exception):
    """There is an anchor, and it says nothing."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the anchor {path} cannot be read: {reason}")


def anchor_path() -> Path:
    """Where the head is kept."""
    return Path(settings.ENVOY_STATE_DIR) / "audit-head.json"


def read() -> Head | None:
    """The anchored head, None where nothing was anchored yet. Raises `UnreadableAnchor`."""
    path = anchor_path()
    try:
        found = json.loads(path.read_text())
        return Head(int(found["sequence"]), str(found["hash"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableAnchor(path, str(error) or repr(error)) from error


def anchor(head: Head) -> None:
    """Keep the head if it is further than the one that is kept: two writers finish in any order.

    What happened is committed already, so a disk that refuses is logged and counted, and the next entry's head, or
    `audit_verify`, tells.
    """
    path = anchor_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_further(head):
                scratch = path.with_name(f".{path.name}.{os.getpid()}")
                scratch.write_text(json.dumps({"sequence": head.sequence, "hash": head.hash}))
                scratch.replace(path)
    except OSError as error:
        _FAILED.inc()
        log.critical("audit.not_anchored", sequence=head.sequence, error=str(error))


def _is_further(head: Head) -> bool:
    try:
        kept = read()
    except UnreadableAnchor as error:
        log.critical("audit.anchor_unreadable", error=str(error))
        return False  # audit_verify says so until somebody has looked
    return kept is None or head.sequence > kept.sequence
