"""After data corruption: is the state to be trusted, and getting it back from the log or the archive."""

from migration.restoring.archive import keep_base_backup
from migration.restoring.checking import check_state, corruption
from migration.restoring.running import ask, enqueue, run, tend

__all__ = ["ask", "check_state", "corruption", "enqueue", "keep_base_backup", "run", "tend"]
