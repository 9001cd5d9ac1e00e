"""Every error of the REST API as RFC 9457 problem details, naming field and reason."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.views import defaults
from rest_framework import status
from rest_framework.exceptions import APIException, ErrorDetail, NotFound
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

CONTENT_TYPE = "application/problem+json"
#: whatever lies below is answered with problems, also what no view was found for
API = "/api/v2/"


class PreconditionFailed(APIException):
    """What the caller has seen is no longer so."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "it was changed meanwhile"


class TooLarge(APIException):
    """More was sent than is taken."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE


def problem_details(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: the same status and headers, as a problem. None for what DRF does not know."""
    response = exception_handler(_known(error), context)
    if response is None:
        return None
    errors = list(flat(response.data))
    detail = "; ".join(f"{one['field']}: {one['reason']}" if one["field"] else one["reason"] for one in errors)
    response.data = problem(response.status_code, detail, errors=errors).data
    response.content_type = CONTENT_TYPE
    return response


def problem(status: int, detail: str, **more: Any) -> Response:
    """A problem with this sentence; `more` are further members, such as `errors`."""
    return Response(_contents(status, detail, **more), status=status, content_type=CONTENT_TYPE)


class NothingHere(APIView):
    """Any path that the API does not have."""

    permission_classes = ()
    schema = None

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Refuse whatever is asked, by any method."""
        raise NotFound(f"there is nothing at {request.path}")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler400`: what its own machinery refused before a view was called."""
    if request.path.startswith(API):
        return _plain(400, str(exception) or "the request could not be read")
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`: the log has the reason, the caller learns that it is not theirs to mend."""
    if request.path.startswith(API):
        return _plain(500, "this is a fault of the server; it was logged")
    return defaults.server_error(request)


def _plain(status: int, detail: str) -> HttpResponse:
    contents = _contents(status, detail, errors=[{"field": "", "reason": detail}])
    return HttpResponse(json.dumps(contents), status=status, content_type=CONTENT_TYPE)


def _contents(status: int, detail: str, **more: Any) -> dict[str, Any]:
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}


def _known(error: Exception) -> Exception:
    """What Django raises while a request is read, as DRF's own kind of error."""
    if isinstance(error, RequestDataTooBig):
        return TooLarge(str(error))
    if isinstance(error, SuspiciousOperation):
        refused = APIException(str(error))
        refused.status_code = status.HTTP_400_BAD_REQUEST
        return refused
    return error


def flat(data: Any, field: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested messages as flat pairs of field and reason."""
    if isinstance(data, dict):
        for name, inside in data.items():
            whole = name in ("detail", "non_field_errors")
            place = f"{field}[{name}]" if isinstance(name, int) else f"{field}.{name}".lstrip(".")
            yield from flat(inside, field if whole else place)
    elif isinstance(data, list):
        for index, inside in enumerate(data):
            yield from flat(inside, f"{field}[{index}]" if isinstance(inside, dict) else field)
    elif isinstance(data, str | ErrorDetail):
        yield {"field": field, "reason": str(data)}
