"""The views that there are, by the first word of their names."""

from collections.abc import Mapping, Sequence

from dashboard.fleet import Fleet
from dashboard.live.hub import Source
from dashboard.live.view import MappingState, State
from dashboard.migration.discrepancies import VIEW as DISCREPANCIES
from dashboard.migration.discrepancies import DiscrepancyViews
from dashboard.migration.regions import screen as way
from dashboard.operating import OperatingView
from dashboard.partials import bar, screen
from dashboard.robot import RobotViews
from dashboard.snapshot import take
from dashboard.tracking import FleetTracker, tracker


class FleetView:
    """`fleet`: the fleet in numbers, and every robot's line."""

    def __init__(self, followed: FleetTracker) -> None:
        self._tracker = followed

    def knows(self, name: str) -> bool:
        """There is one."""
        return name == "fleet"

    def look(self, names: Sequence[str]) -> Mapping[str, Fleet]:
        """The fleet now."""
        return dict.fromkeys(names, self._tracker.look())


class TeleopView:
    """`teleop`: what robots report of their operation, by id; robots that report nothing are only counted."""

    def __init__(self, followed: FleetTracker) -> None:
        self._tracker = followed

    def knows(self, name: str) -> bool:
        """There is one."""
        return name == "teleop"

    def look(self, names: Sequence[str]) -> Mapping[str, State]:
        """The reports now: host (up, down, unknown), operated (true, false, null: cannot tell), evidence."""
        fleet, reports = self._tracker.operations()
        told = {robot_id: [each.host, each.operated, each.evidence] for robot_id, each in reports.items()}
        summary = {"robots": len(fleet.lines), "operation": fleet.summary["operation"]}
        return dict.fromkeys(names, MappingState(fleet.at, summary=summary, robots=told))


class MigrationView:
    """`migration`: the regions of the overview as HTML, and the data that its scripts draw. `migration/bar`: of these
    only what every page has; `migration/way`: the page of the way forward."""

    _RENDER = {"migration": screen, "migration/bar": bar, "migration/way": way}

    def knows(self, name: str) -> bool:
        """One of the three."""
        return name in self._RENDER

    def look(self, names: Sequence[str]) -> Mapping[str, State]:
        """The migration now."""
        snapshot = take()
        shown = {name: self._RENDER[name](snapshot) for name in names}
        return {name: MappingState(each.at, html=each.html, data=each.data) for name, each in shown.items()}


def sources() -> dict[str, Source]:
    """The sources of one process."""
    return {
        DISCREPANCIES: DiscrepancyViews(),
        "fleet": FleetView(tracker),
        "migration": MigrationView(),
        "operating": OperatingView(),
        "robot": RobotViews(),
        "teleop": TeleopView(tracker),
    }
