"""Refusals of the migration as problem details (RFC 9457), in the shape the API already uses."""

from typing import Any

from rest_framework.response import Response

from heartbeat.api.problems import problem, problem_details
from migration.checklist.signing import NotTheirs
from migration.contacts.changing import BadContact
from migration.drivers.errors import RouteError
from migration.errors import MissingReason, NotAVoter, Refused
from migration.rules.phases import UnknownPhase


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: 409 for what may not be done now, 422 for a missing reason, 403 for no voter."""
    if isinstance(error, MissingReason):
        return problem(422, str(error), errors=[{"field": "reason", "reason": "say why, in a few words"}])
    if isinstance(error, UnknownPhase):
        return problem(404, str(error))
    if isinstance(error, RouteError):
        return problem(503, str(error))
    if isinstance(error, BadContact):
        wrong = [{"field": name, "reason": " ".join(told)} for name, told in error.fields.items()]
        return problem(400, str(error), errors=wrong)
    if isinstance(error, NotAVoter | NotTheirs):
        return problem(403, str(error))
    if isinstance(error, Refused):
        return problem(409, str(error), reasons=error.reasons)
    return problem_details(error, context)
