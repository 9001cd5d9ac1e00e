"""How many database connections the processes may open together (docs/checklist.md has the table)."""

#: process → the most connections it opens, beside those that scale with threads
_FIXED = {
    "ingest": 4 + 2 + 4,  # reads, writer and listener, Django's own for the legacy dialect
    "live": 2,
    "watchdog": 2,
    "route agent": 1,
    "watcher and its standby": 2 * 2,
    "relay": 2,
    "beat": 1,
    "backups": 4,
    "commands by hand": 5,
}


def needed_connections(*, site_threads: int, worker_threads: int) -> dict[str, int]:
    """The most connections by process: a thread of Django or Celery holds one, a socket's read pool four."""
    return {"site": site_threads + 4, "worker": worker_threads + 1, **_FIXED}
