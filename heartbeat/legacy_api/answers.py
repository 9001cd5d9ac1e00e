"""Answers in legacy's dialect, without the faults that made it answer 500."""

import json
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from heartbeat.errors import Unavailable, Unstorable
from heartbeat.metrics import REJECTED
from heartbeat.rules.json_text import finite


class TolerantJSONResponse(JSONResponse):
    """As FastAPI's own, but a NaN is null and a lone surrogate stays an escape."""

    def render(self, content: Any) -> bytes:
        """The body as bytes."""
        try:
            return super().render(content)
        except (ValueError, UnicodeEncodeError):
            return json.dumps(finite(content), ensure_ascii=True, separators=(",", ":")).encode()


def add_handlers(app: FastAPI) -> None:
    """Teach `app` what to answer when a request cannot be served."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(Unstorable, _unstorable)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's 422, also when what was sent cannot be encoded again."""
    assert isinstance(error, RequestValidationError)
    REJECTED.labels(call_of(request), "invalid").inc()
    try:
        detail = jsonable_encoder(error.errors(), custom_encoder={bytes: lambda sent: sent.decode(errors="replace")})
        return TolerantJSONResponse({"detail": detail}, status_code=422)
    except RecursionError:
        return JSONResponse({"detail": "There was an error parsing the body"}, status_code=400)


def _unavailable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unavailable)
    return JSONResponse(
        {"detail": error.reason}, status_code=503, headers={"retry-after": str(error.retry_after_seconds)}
    )


def _unstorable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unstorable)
    detail = [{"type": "value_error", "loc": ["body"], "msg": f"Value error, {error.reason}", "input": None}]
    return JSONResponse({"detail": detail}, status_code=422)


def call_of(request: Request) -> str:
    """The label of a request in the metrics."""
    return {"/api/robot/status": "status", "/api/check-update": "check_update"}.get(request.url.path, "other")
