"""What the automation may do, on disk: the watchdog must know it when no database answers. Standard library only."""

import json
import logging
from pathlib import Path

from migration.drivers import atomic_file
from migration.rules.watching import EVERYTHING, Guarding, Mode

log = logging.getLogger(__name__)

NAME = "guarding.json"


def read(directory: Path) -> Guarding:
    """What operators allow. Where nothing was ever set, or it cannot be read, everything: the safe side is to guard."""
    try:
        given = json.loads((directory / NAME).read_text())
        modes = {str(rule): Mode(mode) for rule, mode in given["modes"].items()}
        return Guarding(is_on=bool(given["is_on"]), because=str(given["because"]), modes=modes)
    except FileNotFoundError:
        return EVERYTHING
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.error("watch_file.unreadable: %s", error)
        return EVERYTHING


def write(directory: Path, guarding: Guarding) -> None:
    """Put it on disk, durable when this returns. Raises `CannotWriteRoutes`, `LostLock`."""
    atomic_file.make_directories(directory)
    given = {
        "is_on": guarding.is_on,
        "because": guarding.because,
        "modes": {rule: str(mode) for rule, mode in guarding.modes.items()},
    }
    with atomic_file.locked(directory / "guarding.lock") as lock:
        atomic_file.replace(directory / NAME, json.dumps(given, indent=1), directory, lock)
