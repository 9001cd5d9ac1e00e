"""How fresh the proof of the way back is, for gates, pages and prechecks."""

from django.conf import settings

from migration.clock import system_clock
from migration.models import Rehearsal
from migration.rules.proving import Proof


def proof() -> Proof:
    """The latest proven rehearsal with its age and its measured seconds; a later one that failed is told as well."""
    now = system_clock().now()
    ended = Rehearsal.objects.exclude(state=Rehearsal.State.UNDER_WAY)
    latest, proven = ended.first(), ended.filter(state=Rehearsal.State.PROVEN).first()
    ended_at = proven.ended_at if proven else None
    return Proof(
        age_seconds=(now - ended_at).total_seconds() if ended_at else None,
        seconds=proven.back_seconds if proven else None,
        limit_seconds=settings.REHEARSAL_PROOF_SECONDS,
        robot_id=proven.robot_id if proven else "",
        failure=latest.failure if latest else "",
        is_waived=settings.REHEARSALS == "waived",
    )


def why_locked() -> list[str]:
    """Why steps forward wait for the way back to be proven; empty where they do not."""
    found = proof()
    reasons = [found.sentence] if found.locks else []
    if under_way := Rehearsal.objects.filter(state=Rehearsal.State.UNDER_WAY).first():
        reasons.append(f"rehearsal {under_way.pk} of the way back is under way and changes the route")
    return reasons
