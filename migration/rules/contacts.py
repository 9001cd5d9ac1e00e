"""Duties, channels and the rota (DESIGN.md, "Roles"): what is missing, who is on call, who is asked next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Duty(StrEnum):
    """What somebody can be called for: the six roles that vote, and those behind and beside them."""

    MIGRATION_LEAD = "migration_lead"
    INFRASTRUCTURE = "infrastructure"
    BACKEND = "backend"
    MONITORING = "monitoring"
    QA = "qa"
    ON_CALL = "on_call"
    TEAM_LEAD = "team_lead"
    DIRECTOR = "director"
    CTO = "cto"
    DATABASE_ADMINISTRATOR = "database_administrator"
    OUTSIDE_SUPPORT = "outside_support"

    @property
    def words(self) -> str:
        """The duty as people say it."""
        return {"qa": "QA", "cto": "CTO", "on_call": "On-call"}.get(
            self.value, self.value.replace("_", " ").capitalize()
        )


#: those that need a named backup
WITH_BACKUP = (Duty.MIGRATION_LEAD, Duty.INFRASTRUCTURE, Duty.BACKEND, Duty.MONITORING, Duty.QA, Duty.ON_CALL)


class Purpose(StrEnum):
    """What a channel is for."""

    STATUS = "status"
    ALERTS = "alerts"
    WAR_ROOM = "war_room"
    INCIDENT_CALL = "incident_call"

    @property
    def words(self) -> str:
        """The purpose as people say it."""
        return self.value.replace("_", " ").capitalize()


#: (minutes without an acknowledgement, who is told then): the path unless another one is stored
DEFAULT_PATH = ((0, Duty.ON_CALL), (5, Duty.ON_CALL), (10, Duty.TEAM_LEAD), (20, Duty.DIRECTOR), (30, Duty.CTO))

#: how far ahead the rota must have no gap
ROTA_AHEAD = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Watch:
    """Somebody is on call from `start` until `end`."""

    who: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Reachable:
    """One person in one duty."""

    duty: Duty
    is_backup: bool
    name: str


def first_gap(watches: Sequence[Watch], start: datetime, end: datetime) -> datetime | None:
    """The first moment in [start, end) at which nobody is on call, or None."""
    covered = start
    for watch in sorted(watches, key=lambda one: one.start):
        if watch.start > covered:
            break
        covered = max(covered, watch.end)
    return None if covered >= end else covered


def missing(
    people: Sequence[Reachable],
    channels: Sequence[Purpose],
    path: Sequence[tuple[int, Duty]],
    watches: Sequence[Watch],
    now: datetime,
) -> list[str]:
    """What keeps the contacts from being complete, a sentence each; empty when nothing does."""
    named = {one.duty for one in people if not one.is_backup}
    backed = {one.duty for one in people if one.is_backup}
    told = [f"nobody is named for {duty.words}" for duty in Duty if duty not in named]
    told += [f"{duty.words} has no backup" for duty in WITH_BACKUP if duty not in backed]
    told += [f"no channel for: {purpose.words.lower()}" for purpose in Purpose if purpose not in channels]
    asked = dict.fromkeys(duty for _, duty in path)
    told += [f"escalation to {duty.words} reaches nobody" for duty in asked if duty not in named | backed]
    gap = first_gap(watches, now, now + ROTA_AHEAD)
    if gap:
        told.append("nobody is on call now" if gap == now else f"nobody is on call from {gap:%d %b %H:%M} UTC")
    return told
