"""The site answers as its OpenAPI document says."""

import base64
from collections.abc import Iterator

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from pytest_django import Settings

from heartbeat.api import robot_calls
from heartbeat.api.schema import document
from tests.heartbeat.api.conforming import conform, labels, loaded
from tests.heartbeat.api.conftest import beat, enrolled, robot

LOGIN = {"Authorization": "Basic " + base64.b64encode(b"root:root").decode()}
#: its 503 is an answer, not a fault
HEALTH = {
    "include-path": "/api/v2/health",
    "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "4xx", 503]}},
}
#: no schema says that an end lies in the future, or that one of four members may be given
WINDOWS = {
    "include-path-regex": "/api/v2/maintenance-windows",
    "checks": {"positive_data_acceptance": {"enabled": False}},
}
#: no schema says what exists: checks, contacts, time zones, settings and their values; nor which times go together
MIGRATION = [
    {"include-path": f"/api/v2/migration/{path}", "checks": {"positive_data_acceptance": {"enabled": False}}}
    for path in ("checks/runs", "contacts", "contacts/rota", "contacts/escalation", "freezes", "phases/{slug}/settings")
]
#: a rejection needs a reason, an approval none
REVIEW = {
    "include-path": "/api/v2/migration/reconciliations/{id}/review",
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 409, 422]}},
}
#: there is no robots' door here, so its 503 is an answer
DOOR = {"include-path-regex": "/api/v2/migration/(dry-run|pins)$", "checks": HEALTH["checks"]}


@pytest.fixture
def kept_connection() -> Iterator[None]:
    """As Django's own test client does: the test's transaction outlives a request."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def fleet(db: None, kept_connection: None, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    User.objects.create_superuser("root", password="root")
    one = robot("a", tags=["lab"])
    beat(one, 0)
    enrolled("b")


@pytest.fixture(scope="module")
def site() -> schemathesis.BaseSchema:
    schema = loaded(document(), [HEALTH, WINDOWS, *MIGRATION, REVIEW, DOOR])
    schema.app = get_wsgi_application()
    return schema


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("label", labels(document(), leave=robot_calls.TAG))
def test_the_site_answers_as_its_document_says(site: schemathesis.BaseSchema, label: str) -> None:
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=LOGIN)

    conform(site, label, ask)
