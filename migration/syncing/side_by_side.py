"""How long legacy takes to know what `new` knows already, from what sync reads of it anyway (docs/alerts.md, "Report").

Nothing more is asked of legacy. `new` notices a silence or an operation; legacy's time lasts until the latest look at
which it did not say so yet, so what is stored is never longer than the truth.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import connection

from heartbeat.models import RobotLiveness
from heartbeat.rules.identity import key_of
from migration.models import SideBySide
from migration.syncing.source import CURRENT, SILENT, LegacySource, NotLegacy, Reading
from teleop.models import LegacyClaim, Session

log = structlog.get_logger(__name__)

#: how often `new` is asked for its list, by the call that legacy is asked by
READ_SECONDS = 15.0
#: so many are followed at once, the latest
MOST_OPEN = 200
#: what began before `new` was looked at is not compared
LATEST = timedelta(minutes=10)
KEPT = {
    SideBySide.Of.SILENCE: timedelta(days=60),
    SideBySide.Of.OPERATION: timedelta(days=60),
    SideBySide.Of.READING: timedelta(hours=12),
}

# A robot's latest event alone: only its row says when it was heard last.
_SILENCES = """
INSERT INTO migration_sidebyside (of, subject, robot_id, state, began_at, new_seconds, legacy_seconds)
SELECT 'silence', e.id::text, e.robot_id, 'open', l.heard_at,
    extract(epoch FROM e.noticed_at - l.heard_at), 0
FROM heartbeat_livenessevent e JOIN heartbeat_liveness l ON l.robot_key = e.robot_key AND l.number = e.number
WHERE e.to_state = 'offline' AND l.heard_at <= e.noticed_at AND e.noticed_at > %(since)s
ORDER BY e.noticed_at DESC LIMIT %(most)s
ON CONFLICT DO NOTHING
"""
# Only of robots of which legacy's record says anything: its addresses have to be matched.
_OPERATIONS = """
INSERT INTO migration_sidebyside (of, subject, robot_id, state, began_at, new_seconds, legacy_seconds)
SELECT 'operation', s.id::text, s.robot_id, CASE WHEN c.operated THEN 'before' ELSE 'open' END, s.began_at,
    greatest(0, extract(epoch FROM s.began_known_at - s.began_at)), 0
FROM teleop_session s JOIN teleop_legacyclaim c ON c.robot_key = s.robot_key
WHERE s.state <> 'ended' AND s.began_known_at > %(since)s AND c.read_at > %(fresh)s
ORDER BY s.began_at DESC LIMIT %(most)s
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A reading of the list of `new` that is under way, and how long legacy's took then."""

    at: datetime
    legacy_seconds: float
    ours: Future[Reading]


class Comparing:
    """Follows what both systems learn, from look to look."""

    def __init__(self) -> None:
        self._beside = ThreadPoolExecutor(1, "side-by-side")  # sync does not wait for it
        self._list: LegacySource | None = None
        self._asked: _Asked | None = None
        self._asked_at: datetime | None = None

    def look(self, reading: Reading, now: datetime) -> None:
        """Take in one reading of legacy's rows; its claims of operation are those that were stored since `now`."""
        since = {"since": now - LATEST, "fresh": now - timedelta(minutes=1), "most": MOST_OPEN}
        with connection.cursor() as cursor:
            cursor.execute(_SILENCES, since)
            cursor.execute(_OPERATIONS, since)
        _follow(SideBySide.Of.SILENCE, _said_offline(reading), _still_offline, reading.began_at)
        _follow(SideBySide.Of.OPERATION, _said_operated, _still_operated, now)
        if self._asked and self._asked.ours.done():
            _keep(self._asked)
            self._asked = None
        is_due = self._asked_at is None or (now - self._asked_at).total_seconds() >= READ_SECONDS
        if is_due and self._asked is None:
            self._asked_at = now
            self._asked = _Asked(now, reading.seconds, self._beside.submit(self._read))
            for of, kept in KEPT.items():
                SideBySide.objects.filter(of=of, began_at__lt=now - kept).delete()

    def _read(self) -> Reading:
        """The same list, by the same call, of the site, which answers it for legacy once everything has moved."""
        if self._list is None:
            self._list = LegacySource(f"http://127.0.0.1:{settings.SITE_PORT}")
        return self._list.rows()

    def close(self) -> None:
        """Let the connection go, once nobody reads from it."""
        self._beside.shutdown(cancel_futures=True)
        if self._list:
            self._list.close()


def _keep(asked: _Asked) -> None:
    try:
        ours = asked.ours.result()
    except (*SILENT, NotLegacy) as error:
        log.info("side_by_side.not_read", reason=f"{type(error).__name__}: {error}")
        return
    SideBySide.objects.get_or_create(
        of=SideBySide.Of.READING,
        subject=asked.at.isoformat(),
        defaults={
            "state": SideBySide.State.SAID,
            "began_at": asked.at,
            "new_seconds": ours.seconds,
            "legacy_seconds": asked.legacy_seconds,
        },
    )


def _follow(
    of: SideBySide.Of,
    says_so: Callable[[list[SideBySide]], set[int]],
    still_so: Callable[[list[SideBySide]], set[int]],
    read_at: datetime,
) -> None:
    """Close what legacy says now or what is over, and let legacy's time of the others grow."""
    followed = list(SideBySide.objects.filter(of=of, state=SideBySide.State.OPEN)[:MOST_OPEN])
    if not followed:
        return
    said, lasting = says_so(followed), still_so(followed)
    for one in followed:
        if one.pk in said:
            one.state = SideBySide.State.SAID
        elif one.pk not in lasting:
            one.state = SideBySide.State.OVER
        else:
            one.legacy_seconds = max(one.legacy_seconds, (read_at - one.began_at).total_seconds())
    SideBySide.objects.bulk_update(followed, ["state", "legacy_seconds"])


def _said_offline(reading: Reading) -> Callable[[list[SideBySide]], set[int]]:
    """As legacy marks a row: by overwriting `health`; in the older contract by the status."""
    name, mark, value = (
        ("robot_id", "health", "offline") if reading.contract == CURRENT else ("id", "status", "stopped")
    )

    def says_so(followed: list[SideBySide]) -> set[int]:
        rows = (row for row in map(reading.parsed, reading.rows) if isinstance(row, dict))
        offline = {key_of(str(row[name])) for row in rows if row.get(mark) == value and row.get(name)}
        return {one.pk for one in followed if key_of(one.robot_id) in offline}

    return says_so


def _still_offline(followed: list[SideBySide]) -> set[int]:
    keys = [key_of(one.robot_id) for one in followed]
    found = RobotLiveness.objects.filter(robot_key__in=keys, state="offline").values_list("robot_key", flat=True)
    silent = {bytes(key) for key in found}
    return {one.pk for one in followed if key_of(one.robot_id) in silent}


def _said_operated(followed: list[SideBySide]) -> set[int]:
    keys = [key_of(one.robot_id) for one in followed]
    found = LegacyClaim.objects.filter(robot_key__in=keys, operated=True).values_list("robot_key", flat=True)
    operated = {bytes(key) for key in found}
    return {one.pk for one in followed if key_of(one.robot_id) in operated}


def _still_operated(followed: list[SideBySide]) -> set[int]:
    found = Session.objects.filter(pk__in=[one.subject for one in followed]).exclude(state="ended")
    open_ones = {str(pk) for pk in found.values_list("pk", flat=True)}
    return {one.pk for one in followed if one.subject in open_ones}
