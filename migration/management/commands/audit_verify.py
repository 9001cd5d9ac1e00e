"""`manage.py audit_verify`: prove that nobody changed or cut the audit log."""

from typing import Any

from migration import audit
from migration.auditing import guarding
from migration.models import AuditEntry
from migration.runbook import RunbookCommand, not_done


class Command(RunbookCommand):
    help = "Walk the audit log's hash chain up to the head that is anchored outside the database."

    def handle(self, *args: Any, **options: Any) -> None:
        complaints = [*audit.verify(), *guarding.gaps()]
        if complaints:
            raise not_done("; ".join(complaints))
        self.stdout.write(f"{AuditEntry.objects.count():,} entries, the chain is whole.")
        for weakness in guarding.weaknesses():
            self.stderr.write(f"note: {weakness}")
