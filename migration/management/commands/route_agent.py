"""`manage.py route_agent`: a supervised process beside the proxies."""

from typing import Any

from django.db import Error as DatabaseError

from migration import agent, looping
from migration.drivers.errors import RouteError
from migration.runbook import RunbookCommand


class Command(RunbookCommand):
    help = (
        "Store spooled rollbacks, finish abandoned shifts, keep the route file in order. Runs until it is told to stop."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        looping.run("route_agent", agent.tick, seconds=0.5, passing=(DatabaseError, RouteError))
