"""What sync does with a row that differs: which side is newer, whose robot it is, what is only our own echo."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from migration.rules.mapping import SourceRow
from migration.rules.split import Side

#: the two systems stamp the same heartbeat at slightly different moments
SLACK = timedelta(seconds=0.5)
#: a copy is on its way for less than this; what is missing longer was lost
COPY_SECONDS = 0.5
#: forward and back, seconds (DESIGN.md, gate "Accuracy")
FORWARD_LIMIT_SECONDS, REVERSE_LIMIT_SECONDS = 2.0, 5.0


@dataclass(frozen=True, slots=True)
class Held:
    """What `new` holds of a row, in legacy's words: when the latest call was, and the latest of each sort."""

    at: datetime
    said: Mapping[str, Any] | None
    asked: Mapping[str, Any] | None


class Verdict(StrEnum):
    """What is to be done with a row of legacy's."""

    #: `new` has it, or something newer
    HEARD = "heard"
    #: its copy may still come
    ON_ITS_WAY = "on its way"
    #: `new` owns the robot: what it heard itself is not overwritten
    OWNED_BY_NEW = "owned by new"
    #: nothing but what `new` told legacy
    ECHO = "echo"
    TAKE = "take over"


def judge(
    row: SourceRow, held: Held | None, *, owner: Side, is_echo: bool, read_at: datetime, mirrored: bool
) -> Verdict:
    """What to do with `row`, which was read at `read_at`. `mirrored`: `new` should have heard it as a copy."""
    if is_echo:
        return Verdict.ECHO
    if held is not None and _is_known(row, held):
        return Verdict.HEARD
    if mirrored and (read_at - row.at).total_seconds() < COPY_SECONDS:
        return Verdict.ON_ITS_WAY
    if owner is Side.NEW and held is not None:
        return Verdict.OWNED_BY_NEW
    return Verdict.TAKE


def _is_known(row: SourceRow, held: Held) -> bool:
    if held.at >= row.at:
        return True
    return held.at >= row.at - SLACK and _same(row, held)


def _same(row: SourceRow, held: Held) -> bool:
    if row.said is not None:
        ignored = () if row.health_is_known else ("health",)
        if held.said is None or any(held.said.get(n) != v for n, v in row.said.items() if n not in ignored):
            return False
    return row.asked is None or row.asked == held.asked


def is_owed_to_legacy(
    new_at: datetime, legacy_at: datetime | None, *, read_at: datetime, copy_seconds: float = 2 * COPY_SECONDS
) -> bool:
    """Did legacy, read at `read_at`, miss what `new` heard at `new_at`? Not while its copy may still be on its way."""
    if (read_at - new_at).total_seconds() < copy_seconds:
        return False
    return legacy_at is None or legacy_at < new_at - SLACK
