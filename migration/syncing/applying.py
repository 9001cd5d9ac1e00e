"""Bringing rows of legacy's into `new`: judged one by one, stored together with where they came from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from heartbeat.ingest.beat import LegacyBeat
from heartbeat.models import Relayed
from heartbeat.rules.relaying import is_echo
from heartbeat.taking_over import HeldRow, Told, held_rows, take_over
from migration.models import HistoryGap, Replayed, SyncedRow
from migration.rules.mapping import SourceRow
from migration.rules.plans import RoutePlan
from migration.rules.syncing import Held, Verdict, judge


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of legacy's that may be news: how it reads, how legacy listed it, and the digest of that."""

    row: SourceRow
    listed: Mapping[str, Any]
    digest: bytes


@dataclass(slots=True)
class Applied:
    """What became of candidates: digests that need no second look, and the oldest that does."""

    counts: Counter[Verdict] = field(default_factory=Counter)
    done: list[bytes] = field(default_factory=list)
    waiting: int = 0
    oldest_waiting_at: datetime | None = None

    def wait(self, at: datetime) -> None:
        """A row is looked at again with the next reading."""
        self.waiting += 1
        self.oldest_waiting_at = min(at, self.oldest_waiting_at or at)


def apply(candidates: Sequence[Candidate], plan: RoutePlan, *, read_at: datetime, now: datetime) -> Applied:
    """Judge every candidate by what `new` holds, and take over what it lacks. Idempotent."""
    applied = Applied()
    keys = [row_key(one) for one in candidates]
    held, told = held_rows(keys), _told_to_legacy(keys)
    takes: list[Candidate] = []
    for one, key in zip(candidates, keys, strict=True):
        verdict = judge(
            one.row,
            _as_held(held.get(key)),
            owner=plan.owner_of(one.row.robot_id).side,
            is_echo=any(is_echo(one.listed, *words) for words in told.get(key, ())),
            read_at=read_at,
            mirrored=plan.shadow,
        )
        if verdict is Verdict.TAKE:
            takes.append(one)
            continue
        applied.counts[verdict] += 1
        if verdict is Verdict.ON_ITS_WAY:
            applied.wait(one.row.at)
        else:
            applied.done.append(one.digest)
    _take(takes, held, applied, now)
    return applied


def row_key(candidate: Candidate) -> bytes:
    """The key of its row."""
    return Told(candidate.row.robot_id, candidate.row.at).who.row_key


def taken_over_beats() -> list[LegacyBeat]:
    """What came by sync, for a rebuild of the robots' state."""
    if SyncedRow._meta.db_table not in connection.introspection.table_names():
        return []  # the heartbeat system alone: nobody ever took anything over
    rows = SyncedRow.objects.order_by("at").iterator()
    return [beat for row in rows for beat in Told(row.robot_id, row.at, row.said, row.asked, row.address).beats()]


def _take(takes: Sequence[Candidate], held: Mapping[bytes, HeldRow], applied: Applied, now: datetime) -> None:
    addresses = _addresses(takes)
    told = []
    for one in takes:
        row, key = one.row, row_key(one)
        said = row.said
        if said is not None and not row.health_is_known:
            before = held.get(key)
            said = {**said, "health": before.row.get("health") if before else None}
        told.append(Told(row.robot_id, row.at, said, row.asked, row.address or addresses.get(key, "")))
    with transaction.atomic():
        mine = {one.who.row_key for one in take_over(told)}
        stored = [(one, words) for one, words in zip(takes, told, strict=True) if words.who.row_key in mine]
        _remember(stored, now)
        _note_gaps(stored, held)
    for one, words in zip(takes, told, strict=True):
        if words.who.row_key in mine:
            applied.counts[Verdict.TAKE] += 1
            applied.done.append(one.digest)
        else:
            applied.wait(one.row.at)


def _remember(stored: Sequence[tuple[Candidate, Told]], now: datetime) -> None:
    SyncedRow.objects.bulk_create(
        [
            SyncedRow(
                key=words.who.row_key,
                robot_key=words.who.robot_key,
                robot_id=words.robot_id.replace("\x00", "\u2400"),
                at=words.at,
                said=words.said,
                asked=words.asked,
                address=words.address,
                digest=one.digest,
                taken_over_at=now,
            )
            for one, words in stored
        ],
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["robot_id", "at", "said", "asked", "address", "digest", "taken_over_at"],
    )


def _note_gaps(stored: Sequence[tuple[Candidate, Told]], held: Mapping[bytes, HeldRow]) -> None:
    """Calls that legacy heard and `new` did not: one gap grows for as long as only sync tells of the row."""
    before = {words.who.row_key: held[words.who.row_key].at for _, words in stored if words.who.row_key in held}
    gaps = HistoryGap.objects.filter(of="new", key__in=list(before)).order_by("key", "-ended_at").distinct("key")
    growing = {bytes(gap.key): gap for gap in gaps if gap.ended_at >= before[bytes(gap.key)]}
    fresh, grown = [], []
    for _, words in stored:
        key = words.who.row_key
        if gap := growing.get(key):
            gap.ended_at, gap.fills = words.at, gap.fills + 1
            grown.append(gap)
        else:
            name = words.robot_id.replace("\x00", "\u2400")
            fresh.append(HistoryGap(of="new", key=key, robot_id=name, began_at=before.get(key), ended_at=words.at))
    HistoryGap.objects.bulk_create(fresh)
    HistoryGap.objects.bulk_update(grown, ["ended_at", "fills"])


def _told_to_legacy(keys: Sequence[bytes]) -> dict[bytes, list[tuple[Any, datetime, datetime]]]:
    """What the relay and sync's own replay last told legacy, by row."""
    found: dict[bytes, list[tuple[Any, datetime, datetime]]] = {}
    for model in (Relayed, Replayed):
        rows = model.objects.filter(key__in=list(keys)).values_list("key", "body", "sent_at", "acknowledged_at")
        for key, body, sent_at, acknowledged_at in rows:
            found.setdefault(bytes(key), []).append((body, sent_at, acknowledged_at))
    return found


def _addresses(takes: Sequence[Candidate]) -> dict[bytes, str]:
    """Where each robot called from, so that what legacy does not know is not forgotten."""
    robots = {Told(one.row.robot_id, one.row.at).who.robot_key: row_key(one) for one in takes}
    with connection.cursor() as cursor:
        cursor.execute("SELECT key, address FROM heartbeat_robot WHERE key = ANY(%s)", [list(robots)])
        return {robots[bytes(key)]: address for key, address in cursor.fetchall()}


def _as_held(held: HeldRow | None) -> Held | None:
    if held is None:
        return None
    row = held.row
    said = {name: row.get(name) for name in ("status", "version", "deployment_id", "message", "health")}
    asked = {name: row[name] for name in ("current_version", "group")} if "current_version" in row else None
    return Held(held.at, said if "status" in row else None, asked)
