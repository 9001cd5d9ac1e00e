"""The calls that robots make, for the OpenAPI document. Ingest answers them, from the types that are described here."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from heartbeat.ingest.batches import MOST_HEARTBEATS, Items
from heartbeat.ingest.calls import Accepted
from heartbeat.ingest.enrolling import Enrolment
from heartbeat.ingest.schema import LONGEST_BODY_BYTES, V2Heartbeat

TAG = "robots' calls"
_JSON, _LINES, _PROBLEM = "application/json", "application/x-ndjson", "application/problem+json"
_REFERENCE = "#/components/schemas/{name}"


class Enrolled(Struct):
    """The robot's own token. It is shown once."""

    robot_id: str
    token: Annotated[str, Meta(pattern="^lkr_")]


#: what a robot sends, and what it is answered
TYPES = (V2Heartbeat, Accepted, Items, Enrolment, Enrolled)

_SOCKET = """A persistent connection: heartbeats up; acknowledgements and commands down. The robot's token stands in the
`Authorization` header of the handshake, or the answer is 401 or 403. Every frame is a JSON text.

Up, a heartbeat: as in `POST /api/v2/heartbeat`, with `boot_id` and `sequence`.

Up, signals of operation between heartbeats: `{"type":"signals","boot_id","signals":[…],"id"}` (docs/teleop.md)

Up, a command was carried out, or not: `{"type":"command_result","id","ok","detail"}`

Down, the first frame: `{"type":"hello","robot_id","server_time"}`

Down, these are committed: `{"type":"ack","boot_id","sequences":[…],"received_at"}`

Down, never send this one again: `{"type":"refused","sequence","status":422,"errors":[{"field","reason"}]}`

Down, they could not be stored now, send them again then: `{"type":"retry","sequences":[…],"retry_after_s"}`

Down, do this: `{"type":"command","id","name","arguments"}`

Closed with 4401 when the token is revoked. A newer connection of the same robot is simply added.
An open socket that says nothing is silent: only heartbeats count."""


def components(taken: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas of the types. Raises ValueError when a name is taken by something else."""
    _, made = msgspec.json.schema_components(TYPES, ref_template=_REFERENCE)
    if clash := made.keys() & taken.keys():
        raise ValueError(f"two schemas are named {', '.join(sorted(clash))}")
    return {name: {key: value for key, value in schema.items() if key != "title"} for name, schema in made.items()}


def paths() -> dict[str, Any]:
    """The operations."""
    return {
        "/api/v2/heartbeat": {"post": _heartbeat()},
        "/api/v2/heartbeats": {"post": _heartbeats()},
        "/api/v2/ping/{token}": {"get": _ping("ping"), "post": _ping("ping_by_post")},
        "/api/v2/enrol": {"post": _enrol()},
        "/ws/robot/": {"get": _socket()},
    }


def _heartbeat() -> dict[str, Any]:
    said = f"""Store one heartbeat. The answer comes after the commit.

`robot_id`, `boot_id` and `sequence` are its identity: sent again, it is stored once and answered `duplicate`.
A body has at most {LONGEST_BODY_BYTES} bytes."""
    return _operation("heartbeat", said, Accepted, body={_JSON: _of(V2Heartbeat)}, refusals=("401", "403", "422"))


def _heartbeats() -> dict[str, Any]:
    said = f"""Store up to {MOST_HEARTBEATS:,} heartbeats of the token's own robot, such as a backlog.

Each is accepted or refused by itself, and one that is refused takes none of the others along."""
    body = {
        _JSON: {"type": "array", "maxItems": MOST_HEARTBEATS, "items": _of(V2Heartbeat)},
        _LINES: {"type": "string", "description": "one heartbeat a line"},
    }
    return _operation("heartbeats", said, Items, body=body, refusals=("401", "403", "413", "422"))


def _ping(name: str) -> dict[str, Any]:
    said = "A heartbeat for what can only fetch a URL, such as `curl -fsS …/api/v2/ping/lkr_…`."
    made = _operation(name, said, None, refusals=("401", "422"))
    made["parameters"] = [
        {"in": "path", "name": "token", "required": True, "schema": {"type": "string"}, "description": "a robot's"},
        {"in": "query", "name": "status", "schema": {"type": "string", "maxLength": 128}},
        {
            "in": "query",
            "name": "next_in_s",
            "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": 86_400},
            "description": "when it expects to speak again, seconds",
        },
    ]
    made["security"] = [{}]
    return made


def _enrol() -> dict[str, Any]:
    said = "Get a robot's own token for the fleet's enrolment token (`Authorization: Bearer lke_…`)."
    made = _operation("enrol", said, Enrolled, body={_JSON: _of(Enrolment)}, refusals=("401", "403", "409", "422"))
    made["responses"]["201"] = made["responses"].pop("200")
    return made


def _socket() -> dict[str, Any]:
    made = _operation("robot_socket", _SOCKET, None, refusals=("401", "403"))
    made["responses"]["101"] = {"description": "the connection is a WebSocket now"}
    del made["responses"]["200"]
    return made


def _operation(
    name: str, said: str, answer: type[Struct] | None, *, body: dict[str, Any] | None = None, refusals: tuple[str, ...]
) -> dict[str, Any]:
    content = {_JSON: {"schema": _of(answer)}} if answer else {"text/plain": {"schema": {"const": "ok"}}}
    problem = {"content": {_PROBLEM: {"schema": {"$ref": _REFERENCE.format(name="Problem")}}}}
    later = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    made: dict[str, Any] = {
        "operationId": name,
        "description": said,
        "tags": [TAG],
        "security": [{"robotToken": []}],
        "responses": {
            "200": {"description": "", "content": content},
            **{status: {"description": _SAID[status], **problem} for status in refusals},
            "429": {"description": "The robot calls too often", "headers": later, **problem},
            "503": {"description": "It cannot be stored now; nothing was", "headers": later, **problem},
        },
    }
    if body:
        content = {media: {"schema": schema} for media, schema in body.items()}
        made["requestBody"] = {"required": True, "content": content}
    return made


_SAID = {
    "401": "No token, or one that is not good",
    "403": "The token of another robot, or one that may not do this",
    "409": "The robot has a token already",
    "413": "Too many heartbeats, or too many bytes",
    "422": "The body is not valid; every fault is named",
}


def _of(kind: type[Struct]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}
