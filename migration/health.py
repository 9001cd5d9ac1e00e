"""Whether the new system can do its work: each dependency asked now."""

import urllib.request
from collections.abc import Callable
from typing import Any

import redis
import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from migration import routing
from migration.drivers.errors import RouteError

log = structlog.get_logger(__name__)


class Unwell(Exception):
    """A dependency answered, but not as it should."""


def look() -> dict[str, Any]:
    """Ask every dependency. `status` is "healthy" only if all answered as they should; each says why not."""
    asked: dict[str, Callable[[], str]] = {
        "postgresql": _postgresql,
        "redis": _redis,
        "ingest": _ingest,
        "proxies": _proxies,
    }
    found = {name: _ask(name, question) for name, question in asked.items()}
    unwell = [f"{name}: {state['detail']}" for name, state in found.items() if state["status"] != "healthy"]
    return {"status": "unhealthy" if unwell else "healthy", "reasons": unwell, "dependencies": found}


def _ask(name: str, question: Callable[[], str]) -> dict[str, str]:
    try:
        return {"status": "healthy", "detail": question()}
    except (DatabaseError, redis.RedisError, OSError, RouteError, Unwell) as error:
        log.warning("health.unwell", dependency=name, error=str(error))
        return {"status": "unhealthy", "detail": str(error).strip() or repr(error)}


def _postgresql() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version')")
        return f"version {cursor.fetchone()[0]}"


def _redis() -> str:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=1.0)
    return f"version {client.info('server')['redis_version']}"


def _ingest() -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{settings.INGEST_PORT}/health", timeout=1.0) as answer:
        return f"answers {answer.status}"


def _proxies() -> str:
    routed = routing.route_file().read()
    late = [answer["name"] for answer in routing.acknowledgements(routed.version) if not answer["acknowledged"]]
    if late:
        raise Unwell(f"{', '.join(late)} does not run route {routed.version}")
    return f"all run route {routed.version}"
