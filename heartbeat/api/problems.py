"""Every error of the REST API as RFC 9457 problem details, naming field and reason."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from rest_framework.exceptions import ErrorDetail
from rest_framework.response import Response
from rest_framework.views import exception_handler

CONTENT_TYPE = "application/problem+json"


def problem_details(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: the same status and headers, as a problem. None for what DRF does not know."""
    response = exception_handler(error, context)
    if response is None:
        return None
    errors = list(_errors(response.data))
    detail = "; ".join(f"{one['field']}: {one['reason']}" if one["field"] else one["reason"] for one in errors)
    response.data = problem(response.status_code, detail, errors=errors).data
    response.content_type = CONTENT_TYPE
    return response


def problem(status: int, detail: str, **more: Any) -> Response:
    """A problem with this sentence; `more` are further members, such as `errors`."""
    title = HTTPStatus(status).phrase
    contents = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return Response(contents, status=status, content_type=CONTENT_TYPE)


def _errors(data: Any, field: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested messages as flat pairs of field and reason."""
    if isinstance(data, dict):
        for name, inside in data.items():
            whole = name in ("detail", "non_field_errors")
            yield from _errors(inside, field if whole else f"{field}.{name}".lstrip("."))
    elif isinstance(data, list):
        for index, inside in enumerate(data):
            nested = isinstance(inside, dict | list)
            yield from _errors(inside, f"{field}[{index}]" if nested else field)
    elif isinstance(data, str | ErrorDetail):
        yield {"field": field, "reason": str(data)}
