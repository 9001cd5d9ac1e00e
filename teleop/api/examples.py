"""Operation's examples in the API's description, and the call that robots make of it, which ingest answers."""

from pathlib import Path
from typing import Any

import msgspec

from heartbeat.api import examples
from teleop.receiving.signals import Signals

EXAMPLES = Path(__file__).with_suffix(".json")
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def add(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular's hook."""
    schemas = result["components"]["schemas"]
    _, made = msgspec.json.schema_components([Signals], ref_template="#/components/schemas/{name}")
    for name, schema in made.items():
        schemas.setdefault(name, {key: value for key, value in schema.items() if key != "title"})
    result["paths"]["/api/v2/teleop/signals"] = {"post": _signals()}
    examples.add(result, examples.read(EXAMPLES))
    return result


def _signals() -> dict[str, Any]:
    said = """Store signals between heartbeats, each as the member `teleop` of a heartbeat. The answer comes after the
commit. The same as a frame of the robots' socket: `{"type":"signals","boot_id","signals":[…],"id"}`, answered
`{"type":"signals_ack","id"}` when it has an `id`."""
    accepted = {
        "type": "object",
        "required": ["status", "signals"],
        "properties": {"status": {"const": "accepted"}, "signals": {"type": "integer"}},
    }
    refusals = ("401", "403", "422", "429", "503")
    refused = {status: {"description": "Why it was not taken", "content": _PROBLEM} for status in refusals}
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/Signals"}}}
    return {
        "operationId": "teleop_signals",
        "description": said,
        "tags": ["robots' calls"],
        "security": [{"robotToken": []}],
        "requestBody": {"required": True, "content": body},
        "responses": {
            "202": {"description": "Stored", "content": {"application/json": {"schema": accepted}}},
            **refused,
        },
    }
