"""The examples of the API's description are what it answers."""

from typing import Any

import jsonschema
import pytest
from django.test import Client
from rest_framework.test import APIClient

from heartbeat.api import examples
from heartbeat.api.schema import document, operations
from tests.heartbeat.api.conforming import outline
from tests.heartbeat.api.conftest import beat, robot

EXAMPLES = examples.read(examples.EXAMPLES)
ROBOTS = "/api/v2/robots"


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


def test_the_description_is_served_and_asked_for_once() -> None:
    client = APIClient()
    answer = client.get("/api/v2/schema")

    assert answer.json()["openapi"] == "3.1.0"
    assert client.get("/api/v2/schema", headers={"if-none-match": answer["etag"]}).status_code == 304


def _success(operation: dict[str, Any]) -> dict[str, Any] | None:
    return next((body for status, body in operation["responses"].items() if status.startswith("2")), None)
