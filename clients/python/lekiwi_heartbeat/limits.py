"""Bounds of one robot's client."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds and patience, seconds. More than `most_by_socket` waiting heartbeats go as a batch."""

    most_buffered: int = 2_000
    most_by_socket: int = 8
    most_in_batch: int = 200
    most_batch_bytes: int = 512 * 1024
    acknowledged_within: float = 2.0
    v2_patience: float = 2.0
    legacy_patience: float = 5.0
    between_batches: float = 0.5
