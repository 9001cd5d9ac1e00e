"""The settings of the phases: reading what holds, and changing it. A change voids votes and evidence."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from migration import audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import MissingReason, Refused
from migration.models import PhaseConfiguration, PhaseRun
from migration.rules.phases import Phase, next_phase, phase_of
from migration.rules.settings import PhaseSettings, checked, digest_of, settings_of
from migration.rules.voting import judged_as

log = structlog.get_logger(__name__)


def settings_for(slug: str) -> PhaseSettings:
    """The settings of a phase as they hold now."""
    return settings_of(slug, _changed().get(slug))


def told(slug: str) -> dict[str, Any]:
    """The settings of a phase for a screen: what holds, and which of them somebody changed."""
    row = PhaseConfiguration.objects.filter(slug=phase_of(slug).slug).first()
    changed = row.changed if row else {}
    return {
        "phase": phase_of(slug).slug,
        "revision": row.revision if row else 0,
        "changed": sorted(changed),
        "changed_by": row.changed_by if row else None,
        "settings": as_mapping(settings_of(slug, changed)),
    }


def as_mapping(settings: PhaseSettings) -> dict[str, Any]:
    """Settings by name, as they are told and stored."""
    return asdict(settings)


def digest_for(phase: Phase) -> str:
    """Name the changed settings that a vote in this phase judges: its own and those of the phase it opens."""
    changed, following = _changed(), next_phase(phase)
    return digest_of(changed.get(phase.slug, {}), changed.get(following.slug, {}) if following else {})


def change(
    slug: str, changes: Mapping[str, Any], *, actor: Actor, reason: str, seen_revision: int | None = None
) -> PhaseConfiguration:
    """Set some settings of a phase; None takes a setting back to its default.

    `seen_revision` is the revision on which the person decided. Raises `MissingReason`, `UnknownPhase`, `Refused` if
    somebody changed the settings since then, and `InvalidSetting`, which names field and reason.
    """
    if not reason.strip():
        raise MissingReason("changing settings")
    phase, now = phase_of(slug), system_clock().now()
    with transaction.atomic():
        row, _ = PhaseConfiguration.objects.select_for_update().get_or_create(
            slug=phase.slug, defaults={"changed_by": actor.name, "changed_at": now}
        )
        if seen_revision is not None and seen_revision != row.revision:
            raise Refused(f"{row.changed_by} has changed them since you looked: look again, then decide")
        before = dict(row.changed)
        kept = {name: value for name, value in {**before, **changes}.items() if value is not None}
        row.changed = checked(phase, kept)
        row.revision, row.changed_by, row.changed_at = row.revision + 1, actor.name, now
        row.save()
        audit.record(
            actor,
            "settings_changed",
            f"changed {', '.join(sorted(changes)) or 'nothing'} of {phase.name}: {reason}",
            at=now,
            detail={"phase": phase.slug, "revision": row.revision, "before": before, "after": row.changed},
        )
    log.info("settings.changed", phase=phase.slug, revision=row.revision, names=sorted(changes), actor=actor.name)
    return row


def why_unbound(run: PhaseRun) -> str | None:
    """Why the evidence of the run does not speak for what runs now, or None."""
    if run.build != settings.NEW_BUILD:
        return f"the evidence is of build {run.build}, and {settings.NEW_BUILD} runs now"
    if run.settings != digest_for(run.phase):
        return "the evidence was gathered under other settings"
    return None


def judged_now(run: PhaseRun) -> str:
    """What a vote must have judged to count: the build that runs now, and the phase's settings."""
    return judged_as(settings.NEW_BUILD, run.slug, run.percent, run.evidence_from, digest_for(run.phase))


def _changed() -> dict[str, dict[str, Any]]:
    return dict(PhaseConfiguration.objects.values_list("slug", "changed"))
