"""The first move of an emergency, made before Django is loaded. Standard library only.

Loading Django takes seconds of a core, which a machine in trouble may not have. `manage.py` calls this first; the
command that follows confirms with live traffic, records and tells as always, and does itself what this could not.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from heartbeat.this_host import on_this_host
from migration.drivers.envoy import Observation, observe, parse_proxies
from migration.drivers.errors import BadProxies, RouteError
from migration.drivers.route_file import Routed, RouteFile
from migration.rules.phases import UnknownPhase, emergency_target, phase_of
from migration.rules.plans import RoutePlan

CONFIRM_SECONDS = 1.0
#: exactly these words; whatever else was typed is for the command to understand, or to refuse
_ASKED = ("emergency", "data_corruption")
_CONFIRMED = (["--yes"], ["true"])


@dataclass(frozen=True, slots=True)
class FirstMove:
    """What was done before the command itself could begin."""

    directory: Path
    before: RoutePlan
    routed: Routed
    #: by `time.monotonic()`, and by the clock
    began: float
    decided_at: datetime
    written_seconds: float
    #: what the proxies said to it, from then on; None where nobody was asked
    seen: Observation | None


_made: FirstMove | None = None


def make(arguments: Sequence[str]) -> FirstMove | None:
    """Latch the route at 0 % if this is a confirmed emergency, say so, and remember it for the command."""
    global _made  # noqa: PLW0603
    if not _is_confirmed_emergency(arguments) or (directory := _directory()) is None:
        return None
    began, decided_at = time.monotonic(), datetime.now(UTC)
    file = RouteFile(directory)
    try:
        before = file.read().plan
        leaves = phase_of(before.phase)
    except (RouteError, UnknownPhase) as error:
        sys.stderr.write(f"not latched yet: {error}; the command goes on\n")
        return None
    try:
        routed = file.latch(RoutePlan.emergency(emergency_target(leaves).slug), because=arguments[2], by=on_this_host())
    except RouteError as error:
        sys.stderr.write(f"not latched yet: {error}; the command goes on\n")
        return None
    written = time.monotonic() - began
    seen = _observed(routed)
    _made = FirstMove(directory, before, routed, began, decided_at, written, seen)
    took = written + seen.observed_seconds if seen and seen.observed_seconds else None
    told = "not confirmed yet" if took is None else f"every proxy obeys after {took:.2f} s"
    sys.stdout.write(f"Latched at 0 %: {told}. Confirming with live traffic and recording it …\n")
    sys.stdout.flush()
    return _made


def take(directory: Path) -> FirstMove | None:
    """What was done here a moment ago, once, if it is still in force."""
    global _made
    made, _made = _made, None
    if made is None or made.directory != directory:
        return None
    try:
        return made if RouteFile(directory).read().version == made.routed.version else None
    except RouteError:
        return None


def _is_confirmed_emergency(arguments: Sequence[str]) -> bool:
    match list(arguments):
        case ["universal_rollback", what, reason, *confirmed]:
            return what in _ASKED and confirmed in _CONFIRMED and bool(reason.strip()) and not reason.startswith("-")
    return False


def _directory() -> Path | None:
    """As the settings find it; None where only they know."""
    if told := os.environ.get("ENVOY_STATE_DIR"):
        return Path(told)
    state = os.environ.get("STATE_DIR")
    return Path(state) / "envoy" if state else None


def _observed(routed: Routed) -> Observation | None:
    try:
        proxies = parse_proxies(filter(None, map(str.strip, os.environ.get("PROXIES", "").split(","))))
    except BadProxies:
        return None
    return observe(proxies, routed, CONFIRM_SECONDS) if proxies else None
