"""x."""

from typing import Any

from heartbeat.api.schema import add_examples

EXAMPLES: dict = {}


def add(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular's hook: adds the examples of the migration."""
    add_examples(result, EXAMPLES)
    return result
