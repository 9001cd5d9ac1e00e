"""PostgreSQL, Redis and the connections between them and us."""

from datetime import timedelta
from typing import Any

import redis
from django.conf import settings
from django.core.management.commands.migrate import MigrationExecutor
from django.db import connection

from migration.checklist.registry import Finding, check, holds, unknown
from migration.rules.connections import needed_connections
from migration.rules.voting import Role

POSTGRESQL_NEEDED = 14
REDIS_NEEDED = 7


def _setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        return str(cursor.fetchone()[0])


@check(
    "postgresql",
    f"PostgreSQL is {POSTGRESQL_NEEDED} or newer",
    Role.INFRASTRUCTURE,
    f"Upgrade the server behind DATABASE_URL to PostgreSQL {POSTGRESQL_NEEDED} or newer, with pg_upgrade or a dump.",
)
def postgresql() -> Finding:
    """The server's version."""
    number = int(_setting("server_version_num"))
    return holds(number // 10000 >= POSTGRESQL_NEEDED, f"found {_setting('server_version')}", version=number)


@check(
    "durability",
    "PostgreSQL keeps what it acknowledged",
    Role.INFRASTRUCTURE,
    "Set fsync, full_page_writes and synchronous_commit to on in postgresql.conf and reload.",
)
def durability() -> Finding:
    """A commit that a crash can take back is no acknowledgement (DESIGN.md, invariant 1)."""
    found = {name: _setting(name) for name in ("fsync", "full_page_writes", "synchronous_commit")}
    weak = [name for name, value in found.items() if value in ("off", "local")]
    return holds(
        not weak, f"off: {', '.join(weak)}" if weak else "a commit is on disk when it is acknowledged", **found
    )


@check(
    "migrations",
    "Tables are up to date",
    Role.BACKEND,
    "Run manage.py setup_databases.",
)
def migrations() -> Finding:
    """No migration waits, and the audit log is guarded against changes."""
    executor = MigrationExecutor(connection)
    waiting = [
        f"{step.app_label}.{step.name}" for step, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())
    ]
    if waiting:
        return holds(False, f"{len(waiting)} migrations wait: {', '.join(waiting[:3])}", waiting=waiting)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'migration_auditentry'::regclass "
            "AND NOT tgisinternal AND tgenabled <> 'D'"
        )
        guards = cursor.fetchone()[0]
    return holds(guards >= 2, f"all are applied; {guards} of 2 guards of the audit log are on", guards=guards)


@check(
    "connections",
    "Connection pools fit the database",
    Role.BACKEND,
    "Raise max_connections of PostgreSQL, or run fewer processes (SITE_THREADS, Celery's --concurrency).",
)
def connections() -> Finding:
    """The most that all processes may open together, against the server's limit."""
    limit = int(_setting("max_connections")) - int(_setting("superuser_reserved_connections"))
    parts = needed_connections(site_threads=settings.SITE_THREADS, worker_threads=settings.WORKER_THREADS)
    needed = sum(parts.values())
    return holds(needed <= limit, f"sum {needed} of {limit} that the server gives us", limit=limit, parts=parts)


def _redis(section: str) -> dict[str, Any]:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=1.0)
    try:
        return dict(client.info(section))
    finally:
        client.close()


@check(
    "redis",
    f"Redis is {REDIS_NEEDED} or newer",
    Role.INFRASTRUCTURE,
    f"Install Redis {REDIS_NEEDED} or newer, or say in PRECHECKS_WAIVED why less will do here (redis=why).",
    waivable=True,
)
def redis_version() -> Finding:
    """The server's version."""
    try:
        version = str(_redis("server")["redis_version"])
    except redis.RedisError as error:
        return holds(False, f"does not answer: {error}")
    return holds(int(version.split(".", maxsplit=1)[0]) >= REDIS_NEEDED, f"found {version}", version=version)


@check(
    "redis-memory",
    "Redis has a memory cap and throws nothing away",
    Role.INFRASTRUCTURE,
    "Set maxmemory to what the machine can give, maxmemory-policy to noeviction and appendonly to yes: an evicted key "
    "would be a lost task.",
    waivable=True,
)
def redis_memory() -> Finding:
    """Celery's queue lives there: it may refuse, never forget."""
    try:
        memory, persistence = _redis("memory"), _redis("persistence")
    except redis.RedisError as error:
        return unknown(f"does not answer: {error}")
    cap, policy = int(memory.get("maxmemory", 0)), str(memory.get("maxmemory_policy", "unknown"))
    wrong = []
    if not cap:
        wrong.append("no memory cap (maxmemory is 0)")
    if policy != "noeviction":
        wrong.append(f"evicts by {policy}")
    if not int(persistence.get("aof_enabled", 0)):
        wrong.append("does not append to disk")
    used = int(memory.get("used_memory", 0))
    told = f"{used / 1e6:.0f} MB of {cap / 1e6:.0f} MB, {policy}, appended to disk"
    return holds(not wrong, "; ".join(wrong) or told, cap_bytes=cap, used_bytes=used, policy=policy)


@check(
    "debug",
    "Debugging is off",
    Role.BACKEND,
    "Unset DEBUG: it shows settings to strangers and keeps every query in memory.",
    fresh_for=timedelta(hours=1),
)
def debug() -> Finding:
    """No pages with a traceback, and a secret that is not the one in the source."""
    return holds(not settings.DEBUG, "DEBUG is on" if settings.DEBUG else "DEBUG is off")
