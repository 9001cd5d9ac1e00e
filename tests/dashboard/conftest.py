"""What the page's tests share: a route file of their own, and a proxy that nobody runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from embedded.ports import free_port as any_free_port
from migration import routing
from migration.rules.phases import phase_of
from tests.builders import phase_run


@pytest.fixture(autouse=True)
def _quick_logins(settings: Any) -> None:
    """Half a second per login is for thieves."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def _audit_is_guarded_again(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Torn down after the tables were emptied."""
    yield
    with django_db_blocker.unblock():
        _audit_triggers("ENABLE")


@pytest.fixture
def committed_db(_audit_is_guarded_again: None, transactional_db: None) -> Iterator[None]:
    """A database that other threads see too, emptied afterwards: the audit log resists that, rightly."""
    yield
    with connection.cursor() as cursor:
        cursor.execute(_END_OTHER_SESSIONS)
    _audit_triggers("DISABLE")


#: threads of a server that the test ran keep theirs until they are collected
_END_OTHER_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def _audit_triggers(what: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE migration_auditentry {what} TRIGGER USER")


@pytest.fixture
def canary(db: None, settings: Any, tmp_path: Path) -> Any:
    """The fleet is in Canary 10 %; its only proxy does not answer."""
    settings.STATE_DIR = tmp_path / "state"
    settings.ENVOY_STATE_DIR = tmp_path / "envoy"
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.PROXIES = [f"front-a=http://127.0.0.1:{any_free_port()}|http://127.0.0.1:{any_free_port()}"]
    settings.LEGACY_URL = f"http://127.0.0.1:{any_free_port()}"
    routing.route_file().initialise(routing.plan_for(phase_of("canary_10"), {}))
    return phase_run("canary_10", build=settings.NEW_BUILD)
