"""Bringing rows of legacy's into `new`: judged one by one, stored together with where they came from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from heartbeat.ingest.beat import LegacyBeat, who_is
from heartbeat.taking_over import HeldRow, Told, held_rows, take_over
from migration.models import SyncedRow
from migration.rules.mapping import SourceRow
from migration.rules.plans import RoutePlan
from migration.rules.syncing import Held, Verdict, judge
from migration.syncing.storing import addresses_of, keep, told_to_legacy


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
    held, told = held_rows(keys), told_to_legacy(keys)
    takes: dict[bytes, Candidate] = {}
    for one, key in zip(candidates, keys, strict=True):
        verdict = judge(
            one.row,
            _as_held(held.get(key)),
            owner=plan.owner_of(one.row.robot_id).side,
            is_echo=any(words.are_echoed_by(one.listed) for words in told.get(key, ())),
            read_at=read_at,
            mirrored=plan.shadow,
        )
        if verdict is Verdict.TAKE:
            if key in takes:  # two rows of one id: the newer one is taken over, the other is looked at again
                applied.wait(min(one, takes[key], key=_at).row.at)
            takes[key] = max(one, takes.get(key, one), key=_at)
            continue
        applied.counts[verdict] += 1
        if verdict is Verdict.ON_ITS_WAY:
            applied.wait(one.row.at)
        else:
            applied.done.append(one.digest)
    _take(list(takes.values()), held, applied, now)
    return applied


def row_key(candidate: Candidate) -> bytes:
    """The key of its row."""
    return who_is(candidate.row.robot_id).row_key


def robot_key(candidate: Candidate) -> bytes:
    """The key of its robot."""
    return who_is(candidate.row.robot_id).robot_key


def taken_over_beats() -> list[LegacyBeat]:
    """What came by sync, for a rebuild of the robots' state."""
    if SyncedRow._meta.db_table not in connection.introspection.table_names():
        return []  # the heartbeat system alone: nobody ever took anything over
    rows = SyncedRow.objects.order_by("at").iterator()
    return [beat for row in rows for beat in Told(row.robot_id, row.at, row.said, row.asked, row.address).beats()]


def _take(takes: Sequence[Candidate], held: Mapping[bytes, HeldRow], applied: Applied, now: datetime) -> None:
    if not takes:
        return
    addresses = addresses_of(robot_key(one) for one in takes)
    told = []
    for one in takes:
        row, key = one.row, row_key(one)
        said = row.said
        if said is not None and not row.health_is_known:
            before = held.get(key)
            said = {**said, "health": before.row.get("health") if before else None}
        told.append(Told(row.robot_id, row.at, said, row.asked, row.address or addresses.get(robot_key(one), "")))
    with transaction.atomic():
        mine = {one.who.row_key for one in take_over(told)}
        stored = [(words, one.digest) for one, words in zip(takes, told, strict=True) if words.who.row_key in mine]
        keep(stored, held, now)
    for one, words in zip(takes, told, strict=True):
        if words.who.row_key in mine:
            applied.counts[Verdict.TAKE] += 1
            applied.done.append(one.digest)
        else:
            applied.wait(one.row.at)


def _at(candidate: Candidate) -> datetime:
    return candidate.row.at


def _as_held(held: HeldRow | None) -> Held | None:
    if held is None:
        return None
    row = held.row
    said = {name: row.get(name) for name in ("status", "version", "deployment_id", "message", "health")}
    asked = {name: row[name] for name in ("current_version", "group")} if "current_version" in row else None
    return Held(held.at, said if "status" in row else None, asked)
