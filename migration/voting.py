"""Casting votes on the next phase, and voiding those whose ground has gone."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction

from migration import audit, contacts
from migration.actors import Actor, role_of
from migration.clock import system_clock
from migration.configuring import judged_now, settings_for
from migration.errors import NotAVoter, Refused
from migration.models import PhaseRun, Vote
from migration.rules.settings import PhaseSettings
from migration.rules.voting import Choice, Quorum, Role, why_void

log = structlog.get_logger(__name__)
CONTROL_PLANE = Actor("control plane")


def quorum_of(settings: PhaseSettings) -> Quorum:
    """What the settings of a phase ask of its votes."""
    return Quorum(
        needed=settings.quorum,
        must_include=Role(settings.must_include),
        vetoes=tuple(Role(role) for role in settings.vetoes),
        vote_lives=timedelta(seconds=settings.vote_lives_seconds),
    )


def cast(user: Any, choice: str, comment: str = "", role: str | None = None) -> Vote:
    """Vote on the active phase run, or change the vote. One per person, and one per role.

    `role` names another role than the person's own, for which they are the named backup; the vote records that they
    stood in, and counts until that role's own person votes. Raises `NotAVoter` if the person has none of the six roles
    or does not back up the one named, `Refused` if the choice is unknown or somebody already voted for the role.
    """
    voted_as, as_backup = _voter(user, role)
    if choice not in set(Choice):
        raise Refused(f"choice {choice!r} is none of {', '.join(Choice)}")
    now = system_clock().now()
    with transaction.atomic():
        run = PhaseRun.objects.select_for_update().filter(state=PhaseRun.State.ACTIVE).first()
        if run is None:
            raise Refused("no phase is active, so there is nothing to vote on")
        void_stale(run, now)
        other = run.votes.filter(role=voted_as, void_reason="").exclude(person=user).first()
        if other and not (other.as_backup and not as_backup):
            raise Refused(f"{other.person.get_username()} already voted as {voted_as.words}")
        if other:
            _void(other, f"{user.get_username()} voted in person", now)
        vote, _ = Vote.objects.update_or_create(
            run=run,
            person=user,
            defaults={
                "role": voted_as,
                "choice": choice,
                "comment": comment,
                "cast_at": now,
                "judged": judged_now(run),
                "as_backup": as_backup,
                "void_reason": "",
                "voided_at": None,
            },
        )
        stood_in = f" as backup of {voted_as.words}" if as_backup else ""
        said = f"voted {choice.replace('_', '-')} on leaving {run.phase.name}{stood_in}"
        detail = {"run": run.pk, "role": voted_as, "comment": comment, "as_backup": as_backup, "judged": vote.judged}
        audit.record(Actor.of(user), "vote", said, at=now, detail=detail)
    return vote


def roles_of(user: Any) -> list[tuple[Role, bool]]:
    """The roles that the person may vote for, their own first, and whether they would stand in for somebody."""
    own = role_of(user)
    backed = [(role, True) for role in contacts.stands_in_for(user) if role != own]
    return [(own, False), *backed] if own else backed


def void_go_votes(run: PhaseRun, why: str, now: datetime) -> int:
    """Void every go vote of the run that still counts; who said no-go need not say it again."""
    votes = list(run.votes.filter(choice=Choice.GO, void_reason="").select_related("person"))
    for vote in votes:
        _void(vote, why, now)
    return len(votes)


def void_stale(run: PhaseRun, now: datetime) -> int:
    """Void what judged another build, other settings or other evidence, or is too old; the reason is kept."""
    judged, quorum = judged_now(run), quorum_of(settings_for(run.slug))
    voided = 0
    for vote in run.votes.filter(void_reason="").select_related("person"):
        if why := why_void(vote.ballot, judged=judged, now=now, quorum=quorum):
            _void(vote, why, now)
            voided += 1
    return voided


def _void(vote: Vote, why: str, now: datetime) -> None:
    vote.void(why, now)
    vote.save(update_fields=["void_reason", "voided_at"])
    said = f"voided the {vote.choice.replace('_', '-')} of {vote.person.get_username()}: {why}"
    audit.record(CONTROL_PLANE, "vote_voided", said, at=now, detail={"run": vote.run_id, "role": vote.role})
    log.info("vote.voided", run=vote.run_id, role=vote.role, choice=vote.choice, why=why)


def _voter(user: Any, role: str | None) -> tuple[Role, bool]:
    """The role that the person votes for, and whether they stand in for somebody."""
    own = role_of(user)
    if role is None or role == own:
        if own is None:
            stands_in = contacts.stands_in_for(user)
            if len(stands_in) == 1:
                return stands_in[0], True
            raise NotAVoter(f"{user.get_username()} is in none of the six roles that vote")
        return own, False
    if role not in {one.value for one in Role}:
        raise Refused(f"role {role!r} is none of {', '.join(one.value for one in Role)}")
    if Role(role) not in contacts.stands_in_for(user):
        raise NotAVoter(f"{user.get_username()} is not the named backup of {Role(role).words}")
    return Role(role), True
