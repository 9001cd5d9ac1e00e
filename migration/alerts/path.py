"""Who is told of an alert that nobody acknowledges: the path of the contacts, with whoever a message reaches."""

from datetime import datetime

from django.conf import settings

from migration import contacts
from migration.rules.escalating import Step


def escalation_path(now: datetime) -> tuple[Step, ...]:
    """The steps as of `now`, the soonest first: of each duty the first who has an e-mail address, else the first.

    Without a mail server (`EMAIL_HOST` empty) no address reaches anybody.
    """
    found = []
    for step in contacts.escalation_path(now):
        told = next((one for one in step.people if one.email), next(iter(step.people), None))
        found.append(
            Step(
                step.duty.value,
                step.after,
                told.name if told else "",
                told.email if told and settings.EMAIL_HOST else "",
            )
        )
    return tuple(found)
