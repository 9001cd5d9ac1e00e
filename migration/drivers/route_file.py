"""The one writer of routes (DESIGN.md, invariant 7). Standard library only: it works when nothing else does."""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from migration.drivers import atomic_file, latch
from migration.drivers.cohort_file import CohortFile
from migration.drivers.errors import CannotWriteRoutes, Latched, NotLatched, StaleVersion, UnreadableRoutes
from migration.drivers.latch import Latch
from migration.rules.plans import InvalidPlan, RoutePlan
from migration.rules.routes import filter_source, plan_in, route_configuration

log = logging.getLogger(__name__)

FILTER_TEMPLATE = Path(__file__).resolve().parents[2] / "compose" / "envoy" / "filter.lua"
#: what Envoy's JSON reader refuses in a string, or would not show
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
LONGEST_NOTE = 2_000


@dataclass(frozen=True, slots=True)
class Routed:
    """What the route file says: the plan, its version, who wrote it, why and when."""

    plan: RoutePlan
    version: int
    because: str
    by: str
    at: datetime
    #: version of the filter with the pins that the plan counts on
    filter_version: int


def _utc_now() -> datetime:
    return datetime.now(UTC)


@lru_cache(maxsize=4)
def _parsed(text: str) -> tuple[RoutePlan, int, Mapping[str, Any]]:
    """Read a route file's text once: the watchdog asks every second, and a cohort may name thousands of robots."""
    return plan_in(json.loads(text))


class RouteFile:
    """The files in Envoy's state directory that the control plane writes; `directory` is `ENVOY_STATE_DIR`."""

    def __init__(
        self, directory: Path, *, template: Path = FILTER_TEMPLATE, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self.directory = directory
        self.routes = directory / "routes" / "routes.json"
        self.filter = directory / "robots" / "robots.json"
        self.latch_file = directory / "latch.json"
        self._highest = directory / "version"
        self._lock = directory / "lock"
        self._template = template
        self._now = now

    def read(self) -> Routed:
        """Return what is in force. Raises `UnreadableRoutes`."""
        try:
            plan, version, note = _parsed(self.routes.read_text())
            return Routed(
                plan=plan,
                version=version,
                because=str(note["because"]),
                by=str(note["by"]),
                at=datetime.fromisoformat(note["at"]),
                filter_version=self._filter_version(),
            )
        except FileNotFoundError:
            raise UnreadableRoutes(self.routes, "it does not exist") from None
        except (OSError, InvalidPlan, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UnreadableRoutes(self.routes, str(error) or repr(error)) from error

    def latched(self) -> Latch | None:
        """Return the latch that holds, or None.

        An emergency is over when a release names it, so a latched route file holds by itself: the note beside it
        may be missing, or be about an earlier emergency.
        """
        noted = latch.read(self.latch_file)
        if noted and not noted.released:
            return noted
        routed = self._readable()
        if routed and routed.plan.latched and not (noted and noted.version >= routed.version):
            return Latch(because=routed.because, by=routed.by, at=routed.at, version=routed.version)
        return None

    def write(self, plan: RoutePlan, *, because: str, by: str, expected_version: int | None = None) -> Routed:
        """Bring a plan into force and return it with its version.

        Raises `StaleVersion` if another version than the expected one is in force, `Latched` unless the plan is a
        latched one itself, `CannotWriteRoutes`, and `LostLock`. Whatever it raises, the routes are as they were.
        """
        with self._writing() as lock:
            found = self._readable()
            if expected_version is not None and (found is None or found.version != expected_version):
                raise StaleVersion(expected_version, found.version if found else None)
            if not plan.latched and (held := self.latched()):
                raise Latched(held.because, held.by)
            return self._put(lock, plan, because, by)

    def latch(self, plan: RoutePlan, because: str, by: str) -> Routed:
        """Bring an emergency's plan into force; from then on every other plan is refused until `release`.

        The route comes first and is a latch by itself, so a crash in between leaves everything safe; the note
        beside it is for the day when the route file is lost. Raises `InvalidPlan`, `CannotWriteRoutes`.
        """
        if not plan.latched:
            raise InvalidPlan("latched", "false: an emergency's plan holds until it is released")
        with self._writing() as lock:
            routed = self._put(lock, plan, because, by)
            self._note(lock, Latch(routed.because, routed.by, routed.at, routed.version))
            return routed

    def release(self, by: str, because: str) -> Latch:
        """Let other plans in again and return what was released. The routes stay as they are until a `write`.

        Raises `NotLatched`, `CannotWriteRoutes`.
        """
        with self._writing() as lock:
            held = self.latched()
            if held is None:
                raise NotLatched
            told = {"because": _printable(because), "by": _printable(by), "at": self._now().isoformat()}
            released = replace(held, version=max(held.version, self._highest_seen()), released=told)
            atomic_file.replace(self.latch_file, released.to_json(), self.directory, lock)
            return released

    def initialise(self, plan: RoutePlan) -> Routed:
        """Write the first files, or those that cannot be read, and return what is in force.

        Envoy answers 404 to every robot on a broken route file, and does not start without one. If a latch holds
        and the route is lost, an emergency's plan is written, not `plan`. Raises `CannotWriteRoutes`.
        """
        CohortFile(self.directory).initialise()
        with self._writing() as lock:
            routed = self._readable()
            if routed is None:
                held = self.latched()
                wanted = RoutePlan.emergency(plan.phase) if held else plan
                because = f"the route file was lost; latched: {held.because}" if held else "first route"
                return self._put(lock, wanted, because, held.by if held else "setup", members=True)
            if self._filter_version() == 0 or not (routed.plan.latched or self._has_members(routed.plan)):
                return replace(routed, filter_version=self._put_filter(lock, routed.plan, self._next_version(lock)))
            return routed

    def _put(self, lock: atomic_file.Lock, plan: RoutePlan, because: str, by: str, members: bool = False) -> Routed:
        """Write the pins, if they changed, then the routes. An emergency needs no pins: it depends on one file only."""
        version = self._next_version(lock)
        if members or not (plan.latched or self._has_members(plan)):
            self._put_filter(lock, plan, version)
        routed = Routed(plan, version, _printable(because), _printable(by), self._now(), self._filter_version())
        note = {"because": routed.because, "by": routed.by, "at": routed.at.isoformat()}
        text = json.dumps(route_configuration(plan, version, note), indent=1)
        atomic_file.replace(self.routes, text, self.directory, lock)
        return routed

    @contextmanager
    def _writing(self) -> Iterator[atomic_file.Lock]:
        atomic_file.make_directories(self.directory, self.routes.parent, self.filter.parent)
        with atomic_file.locked(self._lock) as lock:
            atomic_file.remove_scratch(self.directory)
            yield lock

    def _readable(self) -> Routed | None:
        try:
            return self.read()
        except UnreadableRoutes:
            return None

    def _note(self, lock: atomic_file.Lock, held: Latch) -> None:
        try:
            atomic_file.replace(self.latch_file, held.to_json(), self.directory, lock)
        except CannotWriteRoutes as error:
            # The route is in force and latched by itself: an emergency succeeds without its note.
            log.error("latch.no_note: %s", error)

    def _next_version(self, lock: atomic_file.Lock) -> int:
        """Take the version after the highest ever seen, also when the route file was lost: none is used twice."""
        version = self._highest_seen() + 1
        atomic_file.replace(self._highest, f"{version}\n", self.directory, lock)
        return version

    def _highest_seen(self) -> int:
        routed, noted = self._readable(), latch.read(self.latch_file)
        try:
            kept = int(self._highest.read_text())
        except (OSError, ValueError):
            kept = 0
        return max(kept, routed.version if routed else 0, noted.version if noted else 0, self._filter_version())

    def _has_members(self, plan: RoutePlan) -> bool:
        """Whether the filter file holds this plan's pins and today's filter."""
        try:
            given = json.loads(self.filter.read_text())
            return bool(given == self._filter_source(plan, given["version_info"]))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _filter_source(self, plan: RoutePlan, version: int) -> dict[str, Any]:
        return filter_source(plan, self._template.read_text(), version)

    def _put_filter(self, lock: atomic_file.Lock, plan: RoutePlan, version: int) -> int:
        text = json.dumps(self._filter_source(plan, version), indent=1)
        atomic_file.replace(self.filter, text, self.directory, lock)
        return version

    def _filter_version(self) -> int:
        try:
            return int(json.loads(self.filter.read_text())["version_info"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0


def _printable(text: str) -> str:
    """Return text that may travel in the route file: Envoy refuses a file with half a surrogate pair in it."""
    return _UNPRINTABLE.sub("\ufffd", text)[:LONGEST_NOTE]
