"""The migration's examples in the API's description."""

from pathlib import Path
from typing import Any

from heartbeat.api import examples

EXAMPLES = Path(__file__).with_suffix(".json")


def add(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular's hook."""
    for file in (EXAMPLES, *sorted(EXAMPLES.parent.glob("*_examples.json"))):
        examples.add(result, examples.read(file))
    return result
