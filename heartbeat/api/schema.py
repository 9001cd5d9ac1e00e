"""How the API describes itself (OpenAPI 3.1)."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter


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
    """Postprocessing hook."""
    return result


__all__ = ["Described", "OpenApiParameter", "complete"]
