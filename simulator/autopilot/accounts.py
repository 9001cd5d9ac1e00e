"""Comparing the fleet's ledger with what PostgreSQL holds, request by request."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from simulator.ledger import STATUS, read_ledger


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One heartbeat that somebody acknowledged to its robot."""

    wall: float
    answered_by: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """The heartbeats of a run, as the ledger and the database tell it."""

    sent: int
    acknowledged: int
    acknowledged_by_new: int
    stored: int
    #: acknowledged by new, not in PostgreSQL
    missing: int
    #: acknowledged by legacy while copies went to new, and never stored there, not even as a shadow
    not_heard_by_new: int
    #: those of them that were sent while new was made to fail
    not_heard_in_outage: int
    robot_failures: int
    #: v2 heartbeats, however they went; those acknowledged by new over v2 have to be in PostgreSQL
    v2_said: int
    v2_acknowledged: int
    v2_acknowledged_by_new: int
    v2_missing: int


def settle(
    ledger: Path, database_url: str, *, mirrored: list[tuple[float, float]], outages: list[tuple[float, float]]
) -> Accounts:
    """Count everything. `mirrored` are the spans (Unix time) in which copies went to new."""
    counted = read_ledger(ledger)
    stored = stored_ids(database_url)
    missing = not_heard = in_outage = 0
    for one in acknowledged(ledger):
        if one.request_id in stored:
            continue
        if one.answered_by == "new":
            missing += 1
        elif any(start <= one.wall < end for start, end in mirrored):
            not_heard += 1
            in_outage += any(start - 1 <= one.wall <= end + 1 for start, end in outages)
    heartbeats = counted.heartbeats
    return Accounts(
        sent=heartbeats.sent,
        acknowledged=heartbeats.acknowledged,
        acknowledged_by_new=heartbeats.acknowledged_by_new,
        stored=len(stored),
        missing=missing,
        not_heard_by_new=not_heard,
        not_heard_in_outage=in_outage,
        robot_failures=counted.failures,
        v2_said=counted.v2.outcomes.total(),
        v2_acknowledged=counted.v2.acknowledged,
        v2_acknowledged_by_new=len(counted.v2.stored_by_new),
        v2_missing=len(counted.v2.stored_by_new - stored_v2(database_url)),
    )


def acknowledged(ledger: Path) -> Iterator[Acknowledged]:
    """Every acknowledged heartbeat in the ledger."""
    with ledger.open("rb") as file:
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            match json.loads(raw):
                case ["request", _, wall, _, call, int(outcome), str(by), str(request_id), _] if (
                    call == STATUS and 200 <= outcome < 300
                ):
                    yield Acknowledged(wall, by, str(uuid.UUID(request_id)))


def stored_ids(database_url: str) -> set[str]:
    """Request ids of all heartbeats that PostgreSQL holds."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT request_id FROM heartbeat_heartbeat WHERE call = 'status'")
        return {str(row[0]) for row in rows}


def stored_v2(database_url: str) -> set[tuple[str, int]]:
    """(boot_id, sequence) of all v2 heartbeats that PostgreSQL holds."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT boot_id, sequence FROM heartbeat_history WHERE call = 'heartbeat' AND sequence IS NOT NULL"
        )
        return {(row[0], row[1]) for row in rows}


def traffic_totals(database_url: str) -> dict[str, Any]:
    """The watchdog's totals at the end: failovers, and the mirror in both directions."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT totals FROM migration_trafficsample ORDER BY at DESC LIMIT 1").fetchone()
        return dict(row[0]) if row else {}
