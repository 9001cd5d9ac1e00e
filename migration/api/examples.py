"""The migration's examples in the API's description: a file for each of its larger parts."""

from pathlib import Path
from typing import Any

from heartbeat.api import examples

EXAMPLES = Path(__file__).with_suffix(".json")


def files() -> list[Path]:
    """Every file of examples."""
    return [EXAMPLES, *sorted(EXAMPLES.parent.glob("examples_*.json"))]


def add(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular's hook."""
    for file in files():
        examples.add(result, examples.read(file))
    return result
