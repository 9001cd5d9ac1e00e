"""Who is told of an alert that nobody acknowledges."""

from django.conf import settings

from migration.rules.escalating import DEFAULT_PATH, Step, parsed


def escalation_path() -> tuple[Step, ...]:
    """The steps, the soonest first. Raises `BadPath` for a setting that cannot be read."""
    return parsed(settings.ESCALATION_PATH or DEFAULT_PATH)
