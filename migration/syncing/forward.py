"""Legacy → new: what `new` did not hear. A row that is as it was costs a digest and nothing else."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import structlog

from heartbeat.models import LegacyRow
from migration.models import MatchEntry
from migration.rules.mapping import SourceRow, Unmappable, map_older_row, map_row
from migration.rules.plans import RoutePlan
from migration.syncing.applying import Applied, Candidate, apply
from migration.syncing.quarantine import Bad, hold
from migration.syncing.source import CURRENT, Reading
from teleop import claims

log = structlog.get_logger(__name__)


class Forward:
    """Remembers by digest which rows need no look. After a restart everything is looked at once more."""

    def __init__(self) -> None:
        self._done: set[bytes] = set()

    def forget(self) -> None:
        """Look at every row again."""
        self._done.clear()

    def step(
        self, reading: Reading, plan: RoutePlan, *, batch_size: int, now: datetime, alive: Callable[[], None]
    ) -> Applied:
        """Apply what changed since the step before. Rows that cannot be mapped are quarantined."""
        self._done &= reading.rows.keys()
        changed = [digest for digest in reading.rows if digest not in self._done]
        candidates = candidates_of(reading, changed, now)
        claims.take_in(_claims(candidates), now)
        total = Applied()
        for start in range(0, len(candidates), batch_size):
            applied = apply(candidates[start : start + batch_size], plan, read_at=reading.began_at, now=now)
            self._done.update(applied.done)
            _add(total, applied)
            alive()
        return total


def candidates_of(reading: Reading, digests: Sequence[bytes], now: datetime) -> list[Candidate]:
    """These rows, mapped; the others of them wait in quarantine."""
    matches = {} if reading.contract == CURRENT else dict(_matches())
    found: list[Candidate] = []
    bad: dict[str, Bad] = {}
    for digest in digests:
        listed = reading.parsed(digest)
        try:
            row = _mapped(reading, listed, now, matches)
        except Unmappable as reason:
            if not _is_known_without_an_id(listed, reading, now):
                bad[_name(listed, digest)] = Bad(str(reason), listed)
        else:
            found.append(Candidate(row, listed, digest))
    hold("robots", bad, now)
    return found


def _claims(candidates: Sequence[Candidate]) -> Iterator[claims.Claim]:
    """What the older contract's rows say of operation; the current one says it by address (`syncing.fleet`)."""
    for row in (candidate.row for candidate in candidates):
        if row.teleoperated is not None:
            yield claims.Claim(row.robot_id, row.teleoperated, "teleoperation")


def _mapped(reading: Reading, listed: object, now: datetime, matches: dict[str, str]) -> SourceRow:
    if reading.contract == CURRENT:
        return map_row(listed, now)
    return map_older_row(listed, now, matches)


def _matches() -> list[tuple[str, str]]:
    return list(MatchEntry.objects.exclude(robot_id="").values_list("address", "robot_id"))


def _is_known_without_an_id(listed: object, reading: Reading, now: datetime) -> bool:
    """Legacy does not name a robot that only asked for updates; the same row at `new`, which heard it too, does."""
    if not isinstance(listed, dict) or set(listed) != {"last_seen", "current_version", "group"}:
        return False
    same = LegacyRow.objects.filter(
        status_at=None, current_version=listed["current_version"], group=listed["group"], check_at__isnull=False
    )
    return same.exists()


def _name(listed: object, digest: bytes) -> str:
    if isinstance(listed, dict):
        for field in ("robot_id", "id", "ip_address"):
            if listed.get(field):
                return str(listed[field])[:200].replace("\x00", "\u2400")
        if "current_version" in listed:
            return f"no id, version {listed['current_version']}, group {listed.get('group')}"[:200]
    return f"row {digest.hex()[:12]}"


def _add(total: Applied, part: Applied) -> None:
    total.counts += part.counts
    total.done += part.done
    total.waiting += part.waiting
    moments = [at for at in (total.oldest_waiting_at, part.oldest_waiting_at) if at is not None]
    total.oldest_waiting_at = min(moments, default=None)
