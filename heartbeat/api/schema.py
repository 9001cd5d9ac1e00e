"""How the API describes itself (OpenAPI 3.1): from the declarations that parse and render, not beside them."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api import examples, robot_calls
from heartbeat.api.problems import CONTENT_TYPE as PROBLEM_TYPE
from heartbeat.api.queries import Query
from heartbeat.api.versions import etag_of, is_current, not_modified, tagged

METHODS = ("get", "post", "put", "patch", "delete")
_JSON, _CSV = "application/json", "text/csv"

PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details: what was refused, and why",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string", "description": "the status in words"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "the whole reason, for a person"},
        "errors": {
            "type": "array",
            "description": "each fault by itself",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {
                    "field": {"type": "string", "description": "parameter or member; empty: the whole request"},
                    "reason": {"type": "string"},
                    "row": {"type": "integer", "description": "of a body of many rows"},
                },
            },
        },
        "reasons": {"type": "array", "items": {"type": "string"}, "description": "all that stands in the way"},
    },
}

#: bodies in which an unknown member is refused
_CLOSED = ("RobotEntry", "PatchedRobotSettings")

_SAID = {
    "304": "Unchanged since the ETag in `If-None-Match`",
    "400": "A parameter or the body cannot be what it is; every fault is named",
    "401": "No login, or a token that is not good",
    "403": "The login or token may not do this",
    "404": "There is no such thing",
    "406": "It cannot be answered in what `Accept` names",
    "409": "It may not be done now; every reason is named",
    "412": "It was changed since the ETag in `If-Match`",
    "413": "The body is too large",
    "415": "The body is of a type that is not taken",
    "422": "A reason is missing",
    "503": "The robots' door cannot be read or told now",
}


class Described(AutoSchema):
    """Takes the parameters of an operation from the same declaration that parses them."""

    def get_override_parameters(self) -> list[Any]:
        """The view's query."""
        query = getattr(self.view, "get_query", None)
        return [query()] if query and self.method == "GET" else []

    def get_filter_backends(self) -> list[Any]:
        """None: `narrowed` filters."""
        return []


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular's hook: adds what no view declares."""
    schemas = result["components"]["schemas"]
    schemas["Problem"] = PROBLEM
    for name in _CLOSED:
        schemas[name]["additionalProperties"] = False
    for path, method, operation in operations(result):
        _say_how_it_is_refused(path, method, operation)
        _say_what_csv_is(operation)
        if method == "get" and any(parameter["name"] == "fields" for parameter in operation.get("parameters", ())):
            _say_what_may_be_left_out(operation, schemas)
    result["paths"] |= robot_calls.paths()
    schemas |= robot_calls.components(schemas)
    examples.add(result, examples.read(examples.EXAMPLES))
    return result


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(path, method, operation) of a document."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in METHODS:
                yield path, method, operation


@functools.cache
def document() -> dict[str, Any]:
    """The whole document. It cannot change while the process runs, and takes a tenth of a second to make."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


class SchemaView(APIView):
    """The API's own description."""

    permission_classes = (AllowAny,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        """The OpenAPI document."""
        Query().parsed(request.query_params)
        etag = etag_of("schema")
        return not_modified(etag) if is_current(request, etag) else tagged(Response(document()), etag)


def _say_how_it_is_refused(path: str, method: str, operation: dict[str, Any]) -> None:
    statuses = ["400", "406"]
    if operation.get("security") and {} not in operation["security"]:
        statuses += ["401", "403"]
    if "{" in path:
        statuses.append("404")
    if "requestBody" in operation:
        statuses += ["413", "415"]
    if method != "get" and "/migration/" in path:
        statuses += ["409", "422"]
    if "/migration/" in path:
        statuses.append("503")
    if any(parameter["name"] == "If-Match" for parameter in operation.get("parameters", ())):
        statuses.append("412")
    answer = {"content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status in statuses:
        operation["responses"].setdefault(status, {"description": _SAID[status], **answer})


def _say_what_csv_is(operation: dict[str, Any]) -> None:
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for body in bodies:
        if _CSV in body.get("content", {}):
            body["content"][_CSV] = {"schema": {"type": "string", "description": "the same members as columns"}}


def _say_what_may_be_left_out(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """With `?fields=` no member is certain; and such an answer has an ETag."""
    for parameter in operation["parameters"]:
        if parameter["name"] == "fields":
            parameter |= {"style": "form", "explode": False}
    answer = operation["responses"]["200"]
    answer["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "For `If-None-Match`; not with CSV"}}
    operation["responses"]["304"] = {"description": _SAID["304"]}
    operation["parameters"].append(
        {"in": "header", "name": "If-None-Match", "schema": {"type": "string"}, "description": "ETags that are known"}
    )
    schema = schemas[_name(answer["content"][_JSON]["schema"])]
    rows = schema["properties"].get("results")
    (schemas[_name(rows["items"])] if rows else schema).pop("required", None)


def _name(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]
