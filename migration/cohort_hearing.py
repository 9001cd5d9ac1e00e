"""What each cohort's robots say to `new`: heartbeats heard of those expected, and how often legacy failed them.

From the log of acknowledged heartbeats, so it says nothing of requests that reached neither system: those are missing
from what is heard. What each system failed is counted by the doors (`migration.cohort_figures`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from heartbeat.rules.liveness import offline_after_seconds

#: what is received now may not be committed yet
SETTLING = timedelta(seconds=3)
WIDTH = timedelta(seconds=60)

#: a robot counts when it was known before the minute and not silent already when it began
_COUNTED = """
WITH said AS MATERIALIZED (
    SELECT spelling.robot_key, count(*) AS heard,
        count(*) FILTER (WHERE h.side = 'legacy') AS of_legacy,
        count(*) FILTER (WHERE h.side = 'legacy' AND h.role = 'failover') AS failed_over
    FROM heartbeat_heartbeat h JOIN heartbeat_spelling spelling ON spelling.id = h.spelling_id
    WHERE h.received_at >= %(start)s AND h.received_at < %(end)s AND h.call <> 'check_update'
    GROUP BY 1
)
SELECT CASE WHEN grouping(r.kind) = 0 THEN 'kind' ELSE 'site' END, coalesce(r.kind, r.site),
    count(*) AS robots, count(*) FILTER (WHERE r.last_side = 'new') AS on_new,
    sum(%(seconds)s / greatest(coalesce(r.expected_interval_seconds, r.interval_seconds, %(interval)s), 0.1)),
    coalesce(sum(said.heard), 0), coalesce(sum(said.of_legacy), 0), coalesce(sum(said.failed_over), 0)
FROM heartbeat_robot r LEFT JOIN said ON said.robot_key = r.key
WHERE r.first_seen_at <= %(start)s AND r.last_seen_at >= %(silent)s
GROUP BY GROUPING SETS ((r.kind), (r.site)) HAVING coalesce(r.kind, r.site) <> ''
ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class CohortHeard:
    """One kind or site in a minute. `of_legacy`: heartbeats of robots that legacy owned; of these it failed some."""

    cohort: str
    robots: int
    on_new: int
    expected: int
    heard: int
    of_legacy: int
    failed_over: int

    @property
    def heard_percent(self) -> float | None:
        """Which share of what was expected `new` acknowledged; jitter may bring more, which is not better."""
        return 100 * min(self.heard, self.expected) / self.expected if self.expected else None

    @property
    def failed_percent(self) -> float | None:
        """Which share of their heartbeats legacy could not answer, so that `new` did; None where it owned nobody."""
        return 100 * self.failed_over / self.of_legacy if self.of_legacy else None


def heard_by_cohort(now: datetime) -> list[CohortHeard]:
    """Each kind and each site in the latest minute that is wholly in the log. What no interval says is the fleet's."""
    end = now - SETTLING
    start = end - WIDTH
    silent = start - timedelta(seconds=offline_after_seconds(settings.ROBOT_INTERVAL_SECONDS))
    given = {"start": start, "end": end, "silent": silent, "seconds": WIDTH.total_seconds()}
    with connection.cursor() as cursor:
        cursor.execute(_COUNTED, {**given, "interval": settings.ROBOT_INTERVAL_SECONDS})
        rows = cursor.fetchall()
    return [
        CohortHeard(f"{what} {which}", robots, on_new, round(expected), int(heard), int(of_legacy), int(failed_over))
        for what, which, robots, on_new, expected, heard, of_legacy, failed_over in rows
    ]
