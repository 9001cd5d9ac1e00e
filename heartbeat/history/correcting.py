"""After the server's clock was ahead: heartbeats stamped with a time to come, and the state they moved, put right.

State is never moved backwards, so a robot last heard in 2037 would stay online until then. Nobody but the people who
run the server knows which of its clocks was right, so this is never done by itself.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
import structlog
from psycopg import sql

from heartbeat.errors import ClockNotCorrected
from heartbeat.history import default_partition
from heartbeat.history.partitions import LOG, MINUTES

log = structlog.get_logger(__name__)

#: what lies further ahead than this was stamped by a clock that was wrong
TOLERANCE = timedelta(hours=1)
#: what is derived from the heartbeats, and holds their times; the relay would not look at what lies before its cursor,
#: nor ingest for resends of a run before that began
STATE = ("heartbeat_robot", "heartbeat_legacyrow", "heartbeat_spelling", "heartbeat_boot")
RELAY = ("heartbeat_relay", "heartbeat_relayed")


@dataclass(frozen=True, slots=True)
class Corrected:
    """What was put right, and by how much."""

    heartbeats: int
    robots: int
    offset: timedelta


def correct(connection: psycopg.Connection, now: datetime, began: datetime) -> Corrected:
    """Set back everything beyond `now`, so that its first heartbeat was received at `began`, when the clock jumped.

    The order and the distances stay. The minutes rolled up from them go; the heartbeats are in the rollups of their
    right day when that is next verified. Ingest and relay are to be started again: they remember times, too.
    Raises ClockNotCorrected when nothing lies ahead, or `began` does.
    """
    bound = now + TOLERANCE
    if began > now:
        raise ClockNotCorrected(f"{began.isoformat()} is itself in the future")
    default_partition.empty(connection)
    with connection.transaction():
        row = connection.execute(f"SELECT min(received_at) FROM {LOG} WHERE received_at > %s", (bound,)).fetchone()
        if row is None or row[0] is None:
            raise ClockNotCorrected(f"no heartbeat was stamped later than {bound.isoformat()}")
        offset = row[0] - began
        moved = {table: _set_back(connection, table, bound, offset) for table in (LOG, *STATE, *RELAY)}
        connection.execute(f"DELETE FROM {MINUTES} WHERE minute > %s", (bound,))
        connection.execute("DELETE FROM heartbeat_rolled_up_day WHERE day > %s", (bound.date(),))
    log.warning("history.clock_corrected", heartbeats=moved[LOG], offset_seconds=offset.total_seconds())
    return Corrected(moved[LOG], moved["heartbeat_robot"], offset)


def _set_back(connection: psycopg.Connection, table: str, bound: datetime, offset: timedelta) -> int:
    """Take `offset` from every time in `table` that lies beyond `bound`; returns how many rows had one."""
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " AND atttypid = 'timestamptz'::regtype AND attgenerated = '' ORDER BY attnum",
        (table,),
    )
    times = [sql.Identifier(name) for (name,) in rows]
    right = sql.SQL("{0} = CASE WHEN {0} > {1} THEN {0} - {2} ELSE {0} END")
    statement = sql.SQL("UPDATE {table} SET {right} WHERE greatest({times}) > {bound}").format(
        table=sql.Identifier(table),
        right=sql.SQL(", ").join([right.format(time, bound, offset) for time in times]),
        times=sql.SQL(", ").join(times),
        bound=bound,
    )
    return connection.execute(statement).rowcount
