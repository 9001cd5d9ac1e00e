"""The door's table of cohorts, on disk. Standard library only.

A file of its own with a lock of its own: it only counts. A route, a pin or an emergency never waits for it, and a door
that finds it broken goes on without it (`default_config` in the bootstrap).
"""

import json
from collections.abc import Mapping
from pathlib import Path

from migration.drivers import atomic_file
from migration.rules.cohort_table import COHORTS, cohort_source

TEMPLATE = Path(__file__).resolve().parents[2] / "compose" / "envoy" / "cohorts.lua"


class CohortFile:
    """The table of cohorts below `directory`, which is `ENVOY_STATE_DIR`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / COHORTS / f"{COHORTS}.json"

    def initialise(self) -> None:
        """Write an empty table where there is none: Envoy does not start without one. Raises `CannotWriteRoutes`."""
        if not self.path.exists():
            self.write({})

    def write(self, table: Mapping[bytes, str]) -> bool:
        """Bring a table into force; True if it is another one. Raises `CannotWriteRoutes`, `LostLock`."""
        atomic_file.make_directories(self.directory, self.path.parent)
        template = TEMPLATE.read_text()
        with atomic_file.locked(self.directory / f"{COHORTS}.lock") as lock:
            version, found = self._read()
            if found == cohort_source(table, template, version):
                return False
            # Not beside the route file: whoever writes routes removes the scratch files that it finds there.
            atomic_file.remove_scratch(self.path.parent)
            text = json.dumps(cohort_source(table, template, version + 1), indent=1)
            atomic_file.replace(self.path, text, self.path.parent, lock)
            return True

    def _read(self) -> tuple[int, object]:
        try:
            found = json.loads(self.path.read_text())
            return int(found["version_info"]), found
        except (OSError, ValueError, KeyError, TypeError):
            return 0, None
