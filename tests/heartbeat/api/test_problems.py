"""Whatever goes wrong below /api/v2/ is a problem that says what and why."""

from typing import Any

import pytest
from django.test import Client
from django.urls import path
from pytest_django import Settings
from rest_framework.exceptions import Throttled
from rest_framework.views import APIView

from config.urls import urlpatterns as all_urls
from tests.heartbeat.api.conftest import robot

pytestmark = pytest.mark.django_db


class Full(APIView):
    """Refuses for a while."""

    permission_classes = ()
    schema = None

    def get(self, request: Any) -> None:
        raise Throttled(wait=7)


class Broken(APIView):
    """Has a fault."""

    permission_classes = ()
    schema = None

    def get(self, request: Any) -> None:
        raise ZeroDivisionError


urlpatterns = [path("api/v2/full", Full.as_view()), path("api/v2/broken", Broken.as_view()), *all_urls]
handler400 = "heartbeat.api.problems.bad_request"
handler500 = "heartbeat.api.problems.server_error"


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        (("get", "/api/v2/robots/nobody", {}), 404, "no robot is known as nobody"),
        (("get", "/api/v2/robots/%00", {}), 404, "no robot is known as"),
        (("get", f"/api/v2/robots/{'x' * 3_000}", {}), 404, "no robot is known as"),
        (("get", "/api/v2/nothing/here", {}), 404, "there is nothing at /api/v2/nothing/here"),
        (("post", "/api/v2/nothing/here", {}), 404, "there is nothing at"),
        (("get", "/api/v2/robots/", {}), 404, "there is nothing at /api/v2/robots/"),
        (("get", "/api/v2/migration/shifts/99999999999999999999", {}), 404, ""),
        (("delete", "/api/v2/robots", {}), 405, "DELETE"),
        (("get", "/api/v2/robots", {"headers": {"accept": "image/png"}}), 406, "Accept"),
        (("patch", "/api/v2/robots/a", {"data": "a=1", "content_type": "text/plain"}), 415, "text/plain"),
        (("patch", "/api/v2/robots/a", {"data": "{", "content_type": "application/json"}), 400, "JSON parse error"),
        (("patch", "/api/v2/robots/a", {"data": b"\xff", "content_type": "application/json"}), 400, "JSON parse error"),
        (("patch", "/api/v2/robots/a", {"data": "[" * 99_999, "content_type": "application/json"}), 400, "JSON"),
        (("get", "/api/v2/robots", {"headers": {"host": "evil example"}}), 400, "Invalid HTTP_HOST"),
        (("get", "/api/v2/full", {}), 429, "Request was throttled"),
    ],
)
def test_every_refusal_has_its_status_and_its_reason(
    operator: Client, settings: Settings, call: tuple[str, str, dict[str, Any]], status: int, words: str
) -> None:
    method, address, options = call
    settings.ROOT_URLCONF = __name__
    robot("a")

    answer = getattr(operator, method)(address, **options)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    told = answer.json()
    assert (told["type"], told["status"]) == ("about:blank", status)
    assert words in told["detail"]
    assert told["errors"][0].keys() == {"field", "reason"}


def test_who_is_throttled_learns_for_how_long(client: Client, settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__

    assert client.get("/api/v2/full").headers["retry-after"] == "7"


def test_a_fault_of_the_server_is_a_problem_without_its_inside(client: Client, settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    client.raise_request_exception = False

    answer = client.get("/api/v2/broken")

    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["detail"] == "this is a fault of the server; it was logged"


def test_a_page_that_is_not_found_stays_a_page(client: Client) -> None:
    assert "json" not in client.get("/nothing/here").headers["content-type"]
