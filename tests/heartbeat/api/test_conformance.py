"""Schemathesis asks everything that the OpenAPI documents allow and much that they do not, and checks every answer."""

import base64
import copy
from collections.abc import Iterator

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from pytest_django import Settings
from schemathesis.config import SchemathesisConfig

from heartbeat.api import robot_calls
from heartbeat.api.schema import document, operations
from tests.heartbeat.api.conftest import beat, enrolled, robot

CONFIG = {
    "seed": 20261124,
    "generation": {
        "deterministic": True,
        "max-examples": 15,
        "no-shrink": True,
        "with-security-parameters": False,
        # A NUL is a text to JSON schema and none to PostgreSQL: `test_listing` and `test_setting` send it.
        "allow-x00": False,
    },
    "operations": [
        {
            # Its 503 is an answer, not a fault.
            "include-path": "/api/v2/health",
            "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "4xx", 503]}},
        }
    ],
}

schemathesis.openapi.media_type(
    "text/csv", st.sampled_from(["id\na\n", "id,tags\na,lab;arm\nc,\n", "grace_seconds,id\n1.5,a\n"]).map(str.encode)
)


def described() -> schemathesis.BaseSchema:
    """The site's document, without `cursor`: no schema tells which opaque texts are one (`test_listing` does)."""
    described = copy.deepcopy(document())
    for _, _, operation in operations(described):
        operation["parameters"] = [one for one in operation.get("parameters", ()) if one["name"] != "cursor"]
    schema = schemathesis.openapi.from_dict(described, config=SchemathesisConfig.from_dict(CONFIG))
    schema.app = get_wsgi_application()
    return schema.exclude(tag=robot_calls.TAG)


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


site = described()
LOGIN = {"Authorization": "Basic " + base64.b64encode(b"root:root").decode()}


@pytest.mark.usefixtures("fleet")
@site.parametrize()
@settings(
    max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
def test_the_site_answers_as_its_document_says(case: schemathesis.Case) -> None:
    case.call_and_validate(headers=LOGIN)
