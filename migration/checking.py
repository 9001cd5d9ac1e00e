"""The automatic checks before the migration: what a machine can look up by itself."""

import httpx
import redis
from django.conf import settings
from django.db import connection

from migration import routing
from migration.drivers.errors import RouteError

#: name, whether it passed, what was found
Check = tuple[str, bool, str]

POSTGRESQL_NEEDED = 14
REDIS_NEEDED = 7


def checks() -> list[Check]:
    """Run every check. A check that cannot run has failed, and says why."""
    return [_postgresql(), _redis(), _routes(), _legacy(), _new()]


def _postgresql() -> Check:
    version = connection.cursor().connection.info.server_version // 10000
    return ("PostgreSQL", version >= POSTGRESQL_NEEDED, f"version {version}, {POSTGRESQL_NEEDED} needed")


def _redis() -> Check:
    try:
        client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0)
        version = str(client.info("server")["redis_version"])
    except redis.RedisError as error:
        return ("Redis", False, str(error))
    major = int(version.split(".", maxsplit=1)[0])
    if major >= REDIS_NEEDED:
        return ("Redis", True, f"version {version}")
    # Nothing here uses a command newer than 6.2; production gets 7 for its memory and replication fixes.
    return ("Redis", major >= 6, f"version {version}: enough on a laptop, {REDIS_NEEDED} wanted in production")


def _routes() -> Check:
    name = "Robots' door"
    try:
        routed = routing.route_file().read()
    except RouteError as error:
        return (name, False, str(error))
    seen = routing.confirm(routed, deadline_seconds=1.0)
    if seen.late:
        return (name, False, "; ".join(seen.late))
    return (name, True, f"{len(seen.acknowledged)} of {len(seen.acknowledged)} proxies run route {routed.version}")


def _legacy() -> Check:
    return _answers("Legacy", f"{settings.LEGACY_URL}/health")


def _new() -> Check:
    return _answers("New", f"http://127.0.0.1:{settings.INGEST_PORT}/health")


def _answers(name: str, url: str) -> Check:
    """Both systems speak the same contract: a healthy one says so and counts its robots."""
    try:
        answer = httpx.get(url, timeout=1.0)
        answer.raise_for_status()
        body = answer.json()
        found = f"{body['status']}, {body['robots']:,} robots"
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return (name, False, f"{url}: {error!r}")
    return (name, body["status"] == "healthy", found)
