"""New → legacy: what legacy missed is told to it in its own words. It stamps `last_seen` with now, so only robots that
are alive are told of: a silent one would look alive."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import structlog
from django.conf import settings

from heartbeat.relay.legacy import Legacy, Said
from heartbeat.rules.identity import row_key_of
from heartbeat.rules.liveness import late_after_seconds
from heartbeat.rules.relaying import CLOCK_SLACK, Item
from heartbeat.rules.rows import STATUS_FIELDS
from heartbeat.taking_over import HeldRow, heard_since, held_rows, rows_beyond
from migration.models import HistoryGap, Replayed
from migration.rules.mapping import Unmappable, moment
from migration.rules.plans import RoutePlan
from migration.rules.split import Side
from migration.rules.syncing import is_owed_to_legacy
from migration.syncing.source import CURRENT, LegacySource, Reading

log = structlog.get_logger(__name__)

#: one look tells legacy for this long at the allowed rate, so that looking forward never waits longer
SLICE_SECONDS = 0.4
#: robots may say themselves that they speak less often than the fleet does
LONGEST_INTERVAL_SECONDS = 3_600.0
NAMED = 1_000
#: of more rows the whole list costs legacy less
MOST_READ_ALONE = 20


class _Row(msgspec.Struct):
    robot_id: Any = None
    last_seen: Any = None


@dataclass(slots=True)
class Owed:
    """What one look found and did."""

    waiting: int = 0
    oldest_at: datetime | None = None
    replayed: int = 0
    not_replayed: int = 0
    lost_rows: int = 0
    absent: list[str] = field(default_factory=list)


class Back:
    """Remembers when legacy last heard each row (by digest), and what it was told itself."""

    def __init__(self) -> None:
        self._read: dict[bytes, tuple[bytes, datetime]] = {}
        #: legacy's own stamps as they were read, also of what we told it
        self._stamps: dict[bytes, datetime] = {}
        self._keys: set[bytes] = set()
        self._told = {
            bytes(row.key): (row.at, row.sent_at, row.acknowledged_at) for row in Replayed.objects.defer("body")
        }

    def step(
        self,
        reading: Reading,
        source: LegacySource,
        plan: RoutePlan,
        *,
        calls_per_second: float,
        now: datetime,
        alive: Callable[[], None],
    ) -> Owed:
        """Find what legacy lacks, and tell it for a while. Idempotent: what was told is not owed any more."""
        found = Owed()
        if reading.contract != CURRENT:
            return found  # the older contract cannot be told anything
        legacy = self._legacy_times(reading)
        found.lost_rows = len(self._keys - legacy.keys())
        self._keys = set(legacy)
        owed = self._owed(legacy, reading, now)
        found.absent = self._absent(legacy, owed)
        most = max(1, int(calls_per_second * SLICE_SECONDS)) if calls_per_second > 0 else 0
        batch = dict(sorted(owed.items(), key=lambda item: item[1])[:most])
        alive()
        if batch:
            self._replay(batch, legacy, source, plan, calls_per_second=calls_per_second, found=found)
        left = [at for key, at in owed.items() if key not in self._told or self._told[key][0] < at]
        found.waiting, found.oldest_at = len(left), min(left, default=None)
        return found

    def _legacy_times(self, reading: Reading) -> dict[bytes, datetime]:
        """When legacy last heard each row from somebody else than us."""
        now = reading.began_at
        read: dict[bytes, tuple[bytes, datetime]] = {}
        for digest, text in reading.rows.items():
            entry = self._read.get(digest) or _time_of(text, now)
            if entry:
                read[digest] = entry
        self._read = read
        times: dict[bytes, datetime] = {}
        for key, at in read.values():
            times[key] = max(at, times.get(key, at))
        self._stamps = dict(times)
        for key, (told_at, sent_at, acknowledged_at) in list(self._told.items()):
            at = times.get(key)
            if at is None or not sent_at - CLOCK_SLACK <= at <= acknowledged_at + CLOCK_SLACK:
                del self._told[key]
            else:
                times[key] = told_at
        return times

    def _owed(self, legacy: Mapping[bytes, datetime], reading: Reading, now: datetime) -> dict[bytes, datetime]:
        """Rows of robots that are alive and that `new` heard later than legacy, with when that was."""
        owed = {}
        for key, (at, interval) in heard_since(
            now - timedelta(seconds=_silent_after(LONGEST_INTERVAL_SECONDS))
        ).items():
            silent_after = _silent_after(interval or settings.ROBOT_INTERVAL_SECONDS)
            if (now - at).total_seconds() > silent_after:
                continue
            if is_owed_to_legacy(at, legacy.get(key), read_at=reading.began_at):
                owed[key] = at
        return owed

    def _absent(self, legacy: Mapping[bytes, datetime], owed: Mapping[bytes, datetime]) -> list[str]:
        """Robots that legacy does not have and that are silent, so nobody tells it of them."""
        return rows_beyond([*legacy, *owed])

    def _replay(
        self,
        batch: Mapping[bytes, datetime],
        legacy: Mapping[bytes, datetime],
        source: LegacySource,
        plan: RoutePlan,
        *,
        calls_per_second: float,
        found: Owed,
    ) -> None:
        rows = held_rows(list(batch))
        # Legacy may have heard a robot of its own meanwhile: ours would take that row backwards.
        doubted = [row for row in rows.values() if plan.owner_of(row.robot_id).side is Side.LEGACY]
        newer = self._newer(doubted, source)
        told = [row for key, row in rows.items() if key not in newer]
        items = [_item(row) for row in told if row.status_at is not None]
        said = asyncio.run(_tell(source.url, items, calls_per_second)) if items else {}
        source.calls += len(said)
        done = []
        for row in told:
            taken = said.get(row.key, Said.TAKEN) is Said.TAKEN and _asked(source, row)
            found.replayed += taken
            found.not_replayed += not taken
            if taken:
                done.append(row)
        self._remember(done, {item.key: item for item in items}, legacy)
        log.info("sync.replayed", rows=found.replayed, refused=found.not_replayed)

    def _newer(self, rows: list[HeldRow], source: LegacySource) -> set[bytes]:
        """Which of these rows legacy has heard since it was read: a few are read alone, many with all others."""
        known = {row.key: self._stamps.get(row.key, row.at) for row in rows}
        if len(rows) <= MOST_READ_ALONE:
            return {row.key for row in rows if _is_newer(source, row, known[row.key])}
        now = datetime.now(UTC)
        read = (self._read.get(digest) or _time_of(text, now) for digest, text in source.rows().rows.items())
        return {key for key, at in filter(None, read) if key in known and at > known[key]}

    def _remember(self, rows: list[HeldRow], items: Mapping[bytes, Item], legacy: Mapping[bytes, datetime]) -> None:
        now = datetime.now(UTC)
        stored = []
        for row in rows:
            item = items.get(row.key)
            sent = (item and item.sent_at) or now
            acknowledged = max((item and item.acknowledged_at) or now, now)
            self._told[row.key] = (row.at, sent, acknowledged)
            body = dict(item.body) if item else {}
            stored.append(
                Replayed(
                    key=row.key,
                    robot_id=row.robot_id,
                    at=row.at,
                    sent_at=sent,
                    acknowledged_at=acknowledged,
                    body=body,
                )
            )
        Replayed.objects.bulk_create(
            stored,
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["robot_id", "at", "sent_at", "acknowledged_at", "body"],
        )
        HistoryGap.objects.bulk_create(
            [
                HistoryGap(
                    of="legacy",
                    key=row.key,
                    robot_id=row.robot_id,
                    began_at=min(legacy[row.key], row.at) if row.key in legacy else None,
                    ended_at=row.at,
                )
                for row in rows
            ]
        )


async def _tell(url: str, items: list[Item], calls_per_second: float) -> dict[bytes, Said]:
    said: dict[bytes, Said] = {}
    async with Legacy(url, most_per_second=calls_per_second) as legacy:

        async def tell(item: Item) -> None:
            said[item.key] = await legacy.tell(item)

        await asyncio.gather(*(tell(item) for item in items))
    return said


def _asked(source: LegacySource, row: HeldRow) -> bool:
    """Where the robot asked for an update after it spoke, legacy is told that as well."""
    if "current_version" not in row.row:
        return True
    try:
        source.check_update(
            str(row.row.get("robot_id") or row.robot_id), str(row.row["current_version"]), str(row.row["group"])
        )
    except httpx.HTTPError as error:
        log.warning("sync.check_not_replayed", robot=row.robot_id[:128], error=str(error) or repr(error))
        return False
    return True


def _item(row: HeldRow) -> Item:
    body = {name: row.row.get(name) for name in STATUS_FIELDS}
    return Item(row.at, row.at, row.key, None, body)


def _is_newer(source: LegacySource, row: HeldRow, known: datetime) -> bool:
    try:
        said = source.last_seen(str(row.row.get("robot_id") or row.robot_id))
        return said is not None and moment(said, datetime.now(UTC)) > known
    except Unmappable:
        return False


def _time_of(text: msgspec.Raw, now: datetime) -> tuple[bytes, datetime] | None:
    row = msgspec.json.decode(text, type=_Row)
    if not isinstance(row.robot_id, str):
        return None
    try:
        return row_key_of(row.robot_id), moment(row.last_seen, now)
    except Unmappable:
        # It is there, and nobody can tell since when: as good as just now.
        return row_key_of(row.robot_id), now


def _silent_after(interval_seconds: float) -> float:
    return late_after_seconds(min(interval_seconds, LONGEST_INTERVAL_SECONDS))
