"""What the description says of the robots' calls is what ingest does."""

from typing import Any

import httpx
import jsonschema
import pytest

from heartbeat.api import examples, robot_calls
from heartbeat.api.schema import document
from tests.heartbeat.conftest import ENROLLED

EXAMPLES = examples.read(examples.EXAMPLES)
HEARTBEAT = "/api/v2/heartbeat"


def valid(value: Any, name: str) -> None:
    """Raise when `value` is not what the component `name` describes."""
    whole = {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}
    jsonschema.validate(value, whole, jsonschema.Draft202012Validator)


def test_the_description_of_a_heartbeat_names_every_field_of_the_type() -> None:
    described = document()["components"]["schemas"]["V2Heartbeat"]["properties"]

    assert set(described) == set(robot_calls.V2Heartbeat.__struct_fields__)


async def test_the_example_of_a_heartbeat_is_accepted_and_answered_as_described(new: httpx.AsyncClient) -> None:
    answer = await new.post(HEARTBEAT, json=EXAMPLES[f"POST {HEARTBEAT}"]["request"] | {"robot_id": ENROLLED})

    assert answer.status_code == 200, answer.text
    valid(answer.json(), "Accepted")
    assert answer.json().keys() == EXAMPLES[f"POST {HEARTBEAT}"]["200"].keys()


async def test_every_described_field_is_refused_by_name_when_it_is_of_another_type(new: httpx.AsyncClient) -> None:
    for name in document()["components"]["schemas"]["V2Heartbeat"]["properties"]:
        said = {"robot_id": "a", name: [{"no": "field is this"}]}
        with pytest.raises(jsonschema.ValidationError):
            valid(said, "V2Heartbeat")

        answer = await new.post(HEARTBEAT, json=said)

        assert answer.status_code == 422, (name, answer.text)
        assert answer.json()["errors"][0]["field"].partition("[")[0].partition(".")[0] == name
        valid(answer.json(), "Problem")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", HEARTBEAT),
        ("POST", "/api/v2/heartbeats"),
        ("POST", "/api/v2/ping/lkr_x"),
        ("GET", "/api/v2/ping/lkr_x"),
        ("POST", "/api/v2/enrol"),
    ],
)
async def test_ingest_knows_every_described_call(new: httpx.AsyncClient, method: str, path: str) -> None:
    assert path.replace("lkr_x", "{token}") in document()["paths"]

    assert (await new.request(method, path, content=b"{}")).status_code not in (404, 405)
