"""Which backups may go: old ones, never the last that could be gone back to."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup as retention sees it; `kind` is database or legacy, `phase_run` the one it was made for, if any."""

    key: Hashable
    kind: str
    begun_at: datetime
    is_verified: bool
    phase_run: int | None = None


def may_go(backups: Sequence[Kept], now: datetime, keep: timedelta) -> list[Hashable]:
    """The keys of backups older than `keep` that nothing needs.

    The newest verified one of a kind stays whatever its age, and so does the newest verified one of each phase run:
    it is the state before that phase. An archive of legacy stays: it is all that is left of it.
    """
    verified = sorted((one for one in backups if one.is_verified), key=lambda one: one.begun_at)
    needed = {one.kind: one.key for one in verified}.values()
    of_runs = {one.phase_run: one.key for one in verified if one.phase_run is not None}.values()
    stays = {*needed, *of_runs, *(one.key for one in verified if one.kind == "legacy")}
    return [one.key for one in backups if now - one.begun_at > keep and one.key not in stays]
