"""The examples of the API's description are what it answers."""

import json
from datetime import timedelta
from typing import Any

import jsonschema
import pytest
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from heartbeat.api import examples
from heartbeat.api.schema import document, operations
from heartbeat.models import Incident, LivenessEvent, MaintenanceWindow
from tests.heartbeat.api.conforming import outline
from tests.heartbeat.api.conftest import beat, robot

EXAMPLES = examples.read(examples.EXAMPLES)
ROBOTS = "/api/v2/robots"
ROBOT_TOKENS = f"{ROBOTS}/{{robot_id}}/tokens"
WINDOWS = "/api/v2/maintenance-windows"


def test_every_operation_has_an_example_of_its_answer_and_of_its_body() -> None:
    without = [
        f"{method} {path}"
        for path, method, operation in operations(document())
        for body in [operation.get("requestBody"), _success(operation)]
        if body and body.get("content") and "examples" not in next(iter(body["content"].values()))
    ]

    assert without == []


def test_every_example_is_valid_by_the_schema_beside_it() -> None:
    described = document()
    told = 0
    for _, _, operation in operations(described):
        for body in [operation.get("requestBody", {}), *operation["responses"].values()]:
            for content in body.get("content", {}).values():
                for example in content.get("examples", {}).values():
                    schema = {**content["schema"], "components": described["components"]}
                    jsonschema.validate(example["value"], schema, jsonschema.Draft202012Validator)
                    told += 1

    assert told > len(EXAMPLES)


@pytest.mark.django_db
def test_an_example_of_the_heartbeat_system_has_what_the_answer_has(operator: Client) -> None:
    now = robot().last_seen_at
    one = robot("Lekiwi_1", health={"services": {}}, last_v2_at=now, payload={"teleop": {"command_age_ms": 36}})
    beat(one, 0)
    answers = {
        f"GET {ROBOTS}": operator.get(ROBOTS),
        f"POST {ROBOTS}": operator.post(ROBOTS, EXAMPLES[f"POST {ROBOTS}"]["request"], "application/json"),
        f"GET {ROBOTS}/{{robot_id}}": operator.get(f"{ROBOTS}/lekiwi_1"),
        f"PATCH {ROBOTS}/{{robot_id}}": operator.patch(
            f"{ROBOTS}/lekiwi_1", EXAMPLES[f"PATCH {ROBOTS}/{{robot_id}}"]["request"], "application/json"
        ),
        f"GET {ROBOTS}/{{robot_id}}/heartbeats": operator.get(f"{ROBOTS}/lekiwi_1/heartbeats"),
        "GET /api/v2/fleet/summary": operator.get("/api/v2/fleet/summary"),
        "GET /api/v2/validation/robot-count": operator.get("/api/v2/validation/robot-count"),
    }

    for place, answer in answers.items():
        assert answer.status_code == 200, (place, answer.content)
        assert outline(answer.json()) == outline(EXAMPLES[place]["200"]), place


@pytest.mark.django_db
def test_an_example_of_tokens_and_liveness_has_what_the_answer_has(admin_client: Client, settings: Settings, tmp_path):
    settings.STATE_DIR = tmp_path
    answers = {**_answers_about_liveness(admin_client), **_answers_about_tokens(admin_client)}

    for place, answer in answers.items():
        status = next(part for part in EXAMPLES[place] if part != "request")
        assert str(answer.status_code) == status, (place, answer.content)
        assert outline(answer.json()) == outline(EXAMPLES[place][status]), place


def test_the_description_is_served_and_asked_for_once() -> None:
    client = APIClient()
    answer = client.get("/api/v2/schema")

    assert answer.json()["openapi"] == "3.1.0"
    assert client.get("/api/v2/schema", headers={"if-none-match": answer["etag"]}).status_code == 304


def _success(operation: dict[str, Any]) -> dict[str, Any] | None:
    return next((body for status, body in operation["responses"].items() if status.startswith("2")), None)


def _send(client: Client, place: str, **names: Any) -> Any:
    """Ask an operation for what its example asks."""
    method, _, path = place.partition(" ")
    body = EXAMPLES[place].get("request")
    return client.generic(
        method, path.format(**names), "" if body is None else json.dumps(body), content_type="application/json"
    )


def _answers_about_tokens(client: Client) -> dict[str, Any]:
    """A token of every sort and a closed path are made, rotated and listed."""
    known = {"robot_id": "Lekiwi_5A3F"}
    issued = _send(client, f"POST {ROBOT_TOKENS}", **known)
    rotate = f"POST {ROBOT_TOKENS}/{{id}}/rotate"
    answers = {f"POST {ROBOT_TOKENS}": issued, rotate: _send(client, rotate, id=issued.json()["id"], **known)}
    for made in ("enrolment-tokens", "operator-tokens", "legacy-closures"):
        answers[f"POST /api/v2/{made}"] = _send(client, f"POST /api/v2/{made}")
        answers[f"GET /api/v2/{made}"] = client.get(f"/api/v2/{made}")
    return {**answers, f"GET {ROBOT_TOKENS}": _send(client, f"GET {ROBOT_TOKENS}", **known)}


def _answers_about_liveness(client: Client) -> dict[str, Any]:
    """A robot fell silent, somebody was told, and its silence is planned, edited and ended."""
    silent = robot(silent_seconds=180, site="Bremen")
    moments = [silent.last_seen_at + timedelta(seconds=seconds) for seconds in (0, 152, 152.8)]
    seen, became, noticed = moments
    who = {"robot_key": silent.key, "robot_id": silent.robot_id}
    opened = {"opened_at": became, "last_joined_at": became, "robots": 1}
    incident = Incident.objects.create(site="Bremen", level="offline", **opened)
    incident.members.create(level="offline", joined_at=became, **who)
    told = "1 robot at site Bremen is offline: Lekiwi_5A3F (silent for more than 152.0 s)"
    incident.notices.create(route="offline", text=told, created_at=noticed)
    LivenessEvent.objects.create(
        number=3,
        from_state="late",
        to_state="offline",
        became_at=became,
        noticed_at=noticed,
        incident=incident,
        reason="silent for more than 152.0 s",
        **who,
    )
    at = {"starts_at": seen, "ends_at": seen + timedelta(hours=2), "created_at": seen, "created_by": "ada"}
    MaintenanceWindow.objects.create(scope="site", value="Bremen", reason="the network is rebuilt", **at)
    answers = {
        f"GET {ROBOTS}/{{robot_id}}/events": client.get(f"{ROBOTS}/lekiwi_5a3f/events"),
        "GET /api/v2/incidents": client.get("/api/v2/incidents"),
        "GET /api/v2/incidents/{number}": client.get(f"/api/v2/incidents/{incident.pk}"),
        f"GET {WINDOWS}": client.get(WINDOWS),
        f"POST {WINDOWS}": _send(client, f"POST {WINDOWS}"),
    }
    number = answers[f"POST {WINDOWS}"].json()["id"]
    one = f"{WINDOWS}/{{number}}"
    for place in (f"GET {one}", f"PATCH {one}", f"POST {one}/end"):
        answers[place] = _send(client, place, number=number)
    return answers
