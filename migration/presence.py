"""Who is on watch: people whose page is in front of them, and who may roll back."""

from datetime import datetime
from typing import Any

from migration.clock import system_clock
from migration.models import Presence
from migration.rules.step_gates import PRESENT_WITHIN


def is_here(user: Any) -> Presence:
    """This person has the page in front of them now."""
    presence, _ = Presence.objects.update_or_create(person=user, defaults={"at": system_clock().now()})
    return presence


def present(now: datetime) -> list[tuple[str, datetime]]:
    """People who were present lately and may roll back, with when they were seen last."""
    recent = Presence.objects.filter(at__gte=now - PRESENT_WITHIN, person__is_active=True).select_related("person")
    return [(each.person.get_username(), each.at) for each in recent if each.person.has_perm("migration.roll_back")]
