"""The latch of an emergency: a note beside the route file that no database can undo."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Latch:
    """Who holds the route at legacy, why, since when, and from which route version on."""

    because: str
    by: str
    at: datetime
    version: int
    #: what a release says (`because`, `by`, `at`); None while it holds
    released: Mapping[str, str] | None = None

    def to_json(self) -> str:
        """Return what is kept on disk."""
        return json.dumps(
            {
                "version": self.version,
                "because": self.because,
                "by": self.by,
                "at": self.at.isoformat(),
                "released": dict(self.released) if self.released else None,
            },
            indent=1,
        )


def read(path: Path) -> Latch | None:
    """Return the latch of a file, None where there is none. One that cannot be read holds: nobody released it."""
    try:
        given: Any = json.loads(path.read_text())
        return Latch(
            because=str(given["because"]),
            by=str(given["by"]),
            at=datetime.fromisoformat(given["at"]),
            version=int(given["version"]),
            released=given["released"],
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Latch(because=f"{path.name} cannot be read ({error})", by="nobody known", at=_changed(path), version=0)


def _changed(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return datetime.fromtimestamp(0, UTC)
