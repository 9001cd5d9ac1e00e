"""Casting votes on the next phase."""

from typing import Any

from django.db import transaction

from migration import audit
from migration.actors import Actor, role_of
from migration.clock import system_clock
from migration.errors import NotAVoter, Refused
from migration.models import PhaseRun, Vote
from migration.rules.voting import Choice, Role


def cast(user: Any, choice: str, comment: str = "") -> Vote:
    """Vote on the active phase run, or change the vote. One per person, and one per role.

    Raises `NotAVoter` if the person has none of the six roles, `Refused` if the choice is unknown or somebody else
    already voted for the role.
    """
    role = role_of(user)
    if role is None:
        raise NotAVoter(f"{user.get_username()} is in none of the six roles that vote")
    if choice not in set(Choice):
        raise Refused(f"choice {choice!r} is none of {', '.join(Choice)}")
    now = system_clock().now()
    with transaction.atomic():
        run = PhaseRun.objects.select_for_update().filter(state=PhaseRun.State.ACTIVE).first()
        if run is None:
            raise Refused("no phase is active, so there is nothing to vote on")
        other = run.votes.filter(role=role).exclude(person=user).first()
        if other:
            raise Refused(f"{other.person.get_username()} already voted as {Role(role).words}")
        vote, _ = Vote.objects.update_or_create(
            run=run,
            person=user,
            defaults={"role": role, "choice": choice, "comment": comment, "cast_at": now, "judged": run.judged},
        )
        said = f"voted {choice.replace('_', '-')} on leaving {run.phase.name}"
        audit.record(Actor.of(user), "vote", said, at=now, detail={"run": run.pk, "role": role, "comment": comment})
    return vote
