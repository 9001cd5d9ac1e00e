"""Counters of what the control plane did. Gauges that come from the database are in `migration.exposition`."""

from prometheus_client import Counter

SHIFTS = Counter("lekiwi_migration_shifts_total", "Traffic shifts by how they ended", ["state"])
ROLLBACKS = Counter(
    "lekiwi_migration_rollbacks_total", "Rollbacks by who decided and how far they were confirmed", ["trigger", "state"]
)
