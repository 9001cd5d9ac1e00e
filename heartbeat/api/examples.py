"""Examples in the API's description: answers as they were rendered, which a test compares with what is rendered now.

A file maps "METHOD path" to "request" or a status, with a media type where it is not JSON: `"200 text/csv"`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: "METHOD path" → "request" or status → value
Examples = Mapping[str, Mapping[str, Any]]

EXAMPLES = Path(__file__).with_suffix(".json")


def read(file: Path) -> Examples:
    """The examples in a file."""
    examples: Examples = json.loads(file.read_text())
    return examples


def add(document: dict[str, Any], examples: Examples) -> None:
    """Put examples into an OpenAPI document. Raises KeyError for what is not in it."""
    for place, parts in examples.items():
        method, _, path = place.partition(" ")
        operation = document["paths"][path][method.lower()]
        for part, value in parts.items():
            status, _, media = part.partition(" ")
            body = operation["requestBody"] if status == "request" else operation["responses"][status]
            content = body["content"][media or next(iter(body["content"]))]
            content["examples"] = {"example": {"value": value}}
