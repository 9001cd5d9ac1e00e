"""`manage.py initial_routes`: the first route file, for Preparation. Never touches one that can be read."""

from typing import Any

from migration import routing
from migration.rules.phases import PHASES
from migration.runbook import RunbookCommand


class Command(RunbookCommand):
    help = "Write the route file of Preparation if there is none; the proxies cannot start without it."

    def handle(self, *args: Any, **options: Any) -> None:
        routed = routing.route_file().initialise(routing.plan_for(PHASES[0], {}))
        self.stdout.write(f"Route {routed.version}: {routed.plan.phase}, {routed.plan.percent} %")
