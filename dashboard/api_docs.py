"""The REST API as a page: every operation of the OpenAPI document, readable without a script from elsewhere."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from drf_spectacular.generators import SchemaGenerator

from dashboard.access import signed_in

_METHODS = ("get", "post", "put", "patch", "delete")


@require_GET
@signed_in
def api_docs(request: HttpRequest) -> HttpResponse:
    """List what `/api/v2/` offers."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    return render(
        request,
        "dashboard/api_docs.html",
        {"page": "api-docs", "operations": _operations(document), "info": document["info"]},
    )


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "path": path,
            "method": method.upper(),
            "description": operation.get("description", ""),
            "answers": ", ".join(operation.get("responses", {})),
        }
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in _METHODS
    ]
