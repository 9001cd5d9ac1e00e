"""Whether alerts arrive at all: the always-firing alert proves it, for a minute (DESIGN.md, invariant 11)."""

from datetime import datetime

from django.conf import settings

from migration import pulses
from migration.clock import system_clock
from migration.models import Pulse

PULSE = "alert_pipeline"
#: real time, never scaled
PROVEN_FOR_SECONDS = 60.0


def prove(evaluated_at: datetime | None = None) -> None:
    """The always-firing alert has arrived just now.

    Alertmanager repeats it for minutes after Prometheus is dead, so it counts from when its rule was evaluated, if it
    says so.
    """
    now = system_clock().now()
    pulses.beat(PULSE, at=min(now, evaluated_at) if evaluated_at else now)


def is_required() -> bool:
    """Whether there has to be one here; a setting may waive it, which every screen says."""
    return bool(settings.ALERT_PIPELINE != "waived")


def age_seconds(now: datetime) -> float | None:
    """How long ago the pipeline was proven, None if never."""
    at = Pulse.objects.filter(name=PULSE).values_list("at", flat=True).first()
    return (now - at).total_seconds() if at else None


def word(now: datetime) -> str:
    """For screens: waived, proven, or required (and not proven)."""
    if not is_required():
        return "waived"
    age = age_seconds(now)
    return "proven" if age is not None and age <= PROVEN_FOR_SECONDS else "required"
