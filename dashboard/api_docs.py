"""The REST API as a page: the whole OpenAPI document, readable without a script and without anything from elsewhere."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET

from dashboard.access import signed_in
from heartbeat.api.schema import document, operations


@require_GET
@signed_in
def api_docs(request: HttpRequest) -> HttpResponse:
    """What `/api/v2/` offers: per operation its parameters, body, answers and examples."""
    described = document()
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, method, operation in operations(described):
        groups.setdefault(operation["tags"][0], []).append(_operation(path, method, operation))
    schemas = [{"name": name, **_schema(schema)} for name, schema in sorted(described["components"]["schemas"].items())]
    context = {"page": "api-docs", "info": described["info"], "groups": groups.items(), "schemas": schemas}
    return render(request, "dashboard/api_docs.html", context)


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    bodies = [("Body", operation.get("requestBody", {}))]
    bodies += [(f"Answer {status}", body) for status, body in sorted(operation["responses"].items())]
    return {
        "anchor": re.sub(r"\W+", "-", f"{method} {path}").strip("-"),
        "path": path,
        "method": method.upper(),
        "description": _prose(operation.get("description", "")),
        "parameters": [_parameter(one) for one in operation.get("parameters", ())],
        "bodies": [part for name, body in bodies for part in _contents(name, body)],
    }


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    said = _prose(parameter.get("description", ""))
    return {**parameter, "kind": _kind(parameter["schema"]), "description": said}


def _contents(name: str, body: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """One entry for each media type of a body; one for a body of none."""
    described = body.get("description", "")
    if body and not body.get("content"):
        yield {"name": name, "media": "", "kind": described, "example": "", "schema": ""}
    for media, content in body.get("content", {}).items():
        examples = content.get("examples", {}).values()
        yield {
            "name": name,
            "media": media,
            "kind": described or _kind(content["schema"]),
            "schema": _named(content["schema"]),
            "example": "\n\n".join(_text(example["value"]) for example in examples),
        }


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    needed = schema.get("required", ())
    return {
        "description": schema.get("description", ""),
        "members": [
            {
                "name": name,
                "kind": _kind(member),
                "schema": _named(member),
                "needed": name in needed,
                "description": _prose(member.get("description", "")),
            }
            for name, member in schema.get("properties", {}).items()
        ],
    }


def _prose(text: str) -> SafeString:
    """What Markdown sets between backticks, as code; everything else as it stands."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))


def _text(example: Any) -> str:
    return example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)


def _named(schema: Mapping[str, Any]) -> str:
    """The component that a schema refers to, by itself, in an array, or as one of several; "" for none."""
    inside = [schema, schema.get("items", {}), *schema.get("allOf", ()), *schema.get("anyOf", ())]
    return next((one["$ref"].rpartition("/")[2] for one in inside if "$ref" in one), "")


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words: type, bounds, choices."""
    if name := _named(schema):
        several = schema.get("type") == "array" or "items" in schema
        return f"{name}[]" if several else name
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(_kind(one) for one in schema.get("anyOf", schema.get("oneOf", ())))
    if "enum" in schema or "const" in schema:
        return " · ".join(json.dumps(one).strip('"') for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"array of {_kind(schema['items'])}"
    kind = schema.get("type", "any")
    words = [" or ".join(kind) if isinstance(kind, list) else kind]
    words += [f"{word} {schema[name]}" for name, word in _BOUNDS.items() if name in schema]
    return ", ".join(words)


_BOUNDS = {
    "format": "as",
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "maxLength": "at most characters:",
    "maxItems": "at most items:",
}
