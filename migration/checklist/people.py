"""Whether somebody can be reached: the contacts as far as a machine can tell."""

from migration import contacts
from migration.checklist.registry import Finding, check, holds
from migration.clock import system_clock
from migration.models import Contact
from migration.rules.voting import Role


@check(
    "contacts-complete",
    "Every duty has a person, every role a backup, the rota no gap",
    Role.ON_CALL,
    "Enter what is missing on the page of contacts.",
)
def complete() -> Finding:
    """Complete, not true: whether the numbers are right only a person can sign."""
    now = system_clock().now()
    missing = contacts.missing(now)
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        return holds(False, f"{'; '.join(missing[:3])}{more}", missing=missing)
    watching = contacts.on_call(now)
    return holds(True, f"{Contact.objects.count()} contacts; {watching.name if watching else 'nobody'} is on call now")
