"""Keeping what differs: pending at the first reading, confirmed after the lag, ended when it is equal again."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import connection, transaction

from heartbeat.ingest.arrays import array_literal
from heartbeat.rules.identity import displayable
from migration.models import Discrepancy
from migration.rules.comparing import Difference

log = structlog.get_logger(__name__)

Subject = Discrepancy.Subject
#: a discrepancy's place: whose field it is
Place = tuple[str, str, str]
#: any constant: two checks must not open the same discrepancy twice
_KEEP_LOCK = 0x6C656B6A
#: columns by where a discrepancy is, and by what was read and made of it
_PLACE = {"subject": "text", "key": "text", "robot_id": "text", "field": "text", "since": "timestamptz"}
_READ = {
    **{"legacy": "text", "new": "text", "state": "text", "read_at": "timestamptz", "confirmed_at": "timestamptz"},
    **{"ended_at": "timestamptz", "explanation": "text", "explained_by": "text"},
}


def _given(columns: Mapping[str, str]) -> str:
    return f"unnest({', '.join(f'%s::{kind}[]' for kind in columns.values())}) AS given({', '.join(columns)})"


_ENTER = f"""
INSERT INTO migration_discrepancy ({", ".join([*_PLACE, *_READ])}) SELECT * FROM {_given(_PLACE | _READ)}
"""
_CHANGE = f"""
UPDATE migration_discrepancy d SET {", ".join(f"{name} = given.{name}" for name in _READ)}
FROM {_given({"id": "bigint"} | _READ)} WHERE d.id = given.id
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is confirmed now: what nobody explained, what somebody did, and how many ended."""

    unexplained: list[Discrepancy]
    explained: list[Discrepancy]
    settled: int


def place_of(subject: str, difference: Difference) -> Place:
    """Where a difference belongs."""
    return (subject, Discrepancy.key_of(difference.robot_id), difference.field)


@transaction.atomic
def suspect(subject: str, found: Iterable[Difference], at: datetime) -> int:
    """Note what differs at a first reading; what is known already is read again. Returns how many are new."""
    _one_at_a_time()
    known = _open(subject)
    fresh = []
    for difference in found:
        place = place_of(subject, difference)
        if place not in known:
            fresh.append(_discrepancy(place, difference, at))
    _enter(fresh)
    return len(fresh)


@transaction.atomic
def conclude(
    subject: str, found: Iterable[Difference], at: datetime, *, looked_at: Collection[str] | None = None
) -> Kept:
    """Confirm what differs after the lag, forget what was on its way, and end what is equal again.

    `looked_at`: keys of the ids that were read; others keep what is known of them. None: all were.
    """
    _one_at_a_time()
    known = _open(subject)
    unexplained, explained, fresh, changed = [], [], [], []
    for difference in found:
        place = place_of(subject, difference)
        discrepancy = known.pop(place, None)
        if discrepancy is None:
            discrepancy = _discrepancy(place, difference, at)
            fresh.append(discrepancy)
        else:
            changed.append(discrepancy)
        discrepancy.read(difference.legacy, difference.new, at)
        discrepancy.confirm(at)
        (explained if discrepancy.state == Discrepancy.State.EXPLAINED else unexplained).append(discrepancy)
    gone = [one for one in known.values() if looked_at is None or one.key in looked_at]
    passed = [one for one in gone if one.state == Discrepancy.State.PENDING]
    settled = [one for one in gone if one.state != Discrepancy.State.PENDING]
    for discrepancy in settled:
        discrepancy.end(at, fixed=False)
    _enter(fresh)
    _change([*changed, *settled])
    Discrepancy.objects.filter(pk__in=[one.pk for one in passed]).delete()
    if fresh or settled:
        log.info("discrepancies.kept", subject=subject, confirmed=len(unexplained), settled=len(settled))
    return Kept(unexplained, explained, len(settled))


def _discrepancy(place: Place, difference: Difference, at: datetime) -> Discrepancy:
    subject, key, field = place
    return Discrepancy(
        subject=subject,
        key=key,
        robot_id=displayable(difference.robot_id),
        field=displayable(field),
        legacy=difference.legacy,
        new=difference.new,
        since=at,
        read_at=at,
    )


def _enter(fresh: Sequence[Discrepancy]) -> None:
    """Store new ones by one statement: after a restart of legacy's every row is one. They get no `pk` here."""
    _write(_ENTER, fresh, [*_PLACE, *_READ])


def _change(known: Sequence[Discrepancy]) -> None:
    _write(_CHANGE, known, ["id", *_READ])


def _write(statement: str, rows: Sequence[Discrepancy], names: Sequence[str]) -> None:
    if not rows:
        return
    fields = [Discrepancy._meta.get_field(name) for name in names]
    columns = [array_literal([field.get_prep_value(getattr(row, field.attname)) for row in rows]) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(statement, columns)


def _open(subject: str) -> dict[Place, Discrepancy]:
    return {
        (one.subject, one.key, one.field): one
        for one in Discrepancy.objects.filter(subject=subject, state__in=Discrepancy.OPEN)
    }


def _one_at_a_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_KEEP_LOCK])
