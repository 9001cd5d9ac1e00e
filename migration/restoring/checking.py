"""Does the state follow from the raw heartbeats, and does the log hold what was counted when it came in?"""

from datetime import datetime

from django.db import connection

from migration import pulses

#: how far back the state is compared with the log
RECENT_SECONDS = 120
NAMES_TOLD = 5

#: robots that `new` owns, by their latest calls: both tables are written in one transaction, so one look suffices
_STATE = """
WITH recent AS (
    SELECT s.robot_key, s.robot_id, h.received_at, coalesce(h.at, h.received_at) AS at, h.call, h.status, h.exact,
        h.side
    FROM heartbeat_heartbeat h JOIN heartbeat_spelling s ON s.id = h.spelling_id
    WHERE h.received_at > clock_timestamp() - %(seconds)s * interval '1 second'
), heard AS (
    SELECT DISTINCT ON (robot_key) robot_key, robot_id, received_at, side FROM recent
    ORDER BY robot_key, received_at DESC
), said AS (
    SELECT DISTINCT ON (robot_key) robot_key, at, status, exact FROM recent WHERE call <> 'check_update'
    ORDER BY robot_key, at DESC, received_at DESC
)
SELECT heard.robot_id,
    CASE WHEN r.key IS NULL THEN 'is missing'
         WHEN r.last_seen_at < heard.received_at THEN 'was last heard earlier than it spoke'
         ELSE 'has another status than it said' END
FROM heard LEFT JOIN said USING (robot_key) LEFT JOIN heartbeat_robot r ON r.key = heard.robot_key
WHERE heard.side = 'new' AND (
    r.key IS NULL OR r.last_seen_at < heard.received_at
    OR (said.exact IS NULL AND r.last_status_at = said.at AND r.status <> coalesce(said.status, ''))
)
ORDER BY heard.robot_id
"""
#: minutes whose calls were counted when they were rolled up, and of which fewer are stored now
_LOG = """
WITH counted AS (
    SELECT minute, sum(heartbeats + update_checks) AS calls FROM heartbeat_minute
    WHERE minute >= %(since)s AND minute < %(until)s GROUP BY minute
), stored AS (
    SELECT date_trunc('minute', coalesce(at, received_at)) AS minute, count(*) AS calls FROM heartbeat_heartbeat
    WHERE received_at >= %(since)s GROUP BY 1
)
SELECT minute, counted.calls, coalesce(stored.calls, 0) FROM counted LEFT JOIN stored USING (minute)
WHERE coalesce(stored.calls, 0) < counted.calls ORDER BY minute
"""


def corruption() -> str:
    """Why the state is not to be trusted, a sentence; empty where it follows from the latest heartbeats."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE, {"seconds": RECENT_SECONDS})
        wrong: list[tuple[str, str]] = cursor.fetchall()
    if not wrong:
        return ""
    told = ", ".join(f"{robot_id} {how}" for robot_id, how in wrong[:NAMES_TOLD])
    more = f" and {len(wrong) - NAMES_TOLD:,} more" if len(wrong) > NAMES_TOLD else ""
    return f"the state of {len(wrong):,} robots does not follow from their heartbeats: {told}{more}"


def check_state() -> str:
    """Check, and say what was found where the watchdog's recorder reads it."""
    found = corruption()
    pulses.beat("state_check", {"corruption": found})
    return found


def lost_minutes(since: datetime, until: datetime) -> list[tuple[datetime, int, int]]:
    """Minutes of which fewer calls are stored than were counted: (minute, counted, stored)."""
    with connection.cursor() as cursor:
        cursor.execute(_LOG, {"since": since, "until": until})
        return list(cursor.fetchall())
