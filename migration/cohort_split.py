"""The split as it is observed in each cohort: which owner the door named at each robot's latest call."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q

from heartbeat.models import Robot

COHORTS = ("kind", "site")


def split_by_cohort(now: datetime) -> list[dict[str, Any]]:
    """For each kind and each site: robots heard lately, and how many of them `new` owned at their latest call."""
    lately = now - timedelta(seconds=2 * settings.ROBOT_INTERVAL_SECONDS + 1)
    heard = Robot.objects.filter(last_seen_at__gte=lately).exclude(last_side="").order_by()
    found = []
    for cohort in COHORTS:
        rows = (
            heard.exclude(**{cohort: ""})
            .values(cohort)
            .annotate(robots=Count("pk"), on_new=Count("pk", filter=Q(last_side="new")))
        )
        for row in sorted(rows, key=lambda row: str(row[cohort])):
            share = 100 * row["on_new"] / row["robots"]
            found.append({"cohort": f"{cohort} {row[cohort]}", "robots": row["robots"], "observed_percent": share})
    return found
