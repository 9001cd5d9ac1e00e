"""REST v2 of the report, and of stored phases judged again."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiTypes, extend_schema, extend_schema_field
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api.queries import Query, several
from heartbeat.api.serializers import Text
from migration.reporting.replaying import NothingStored, replay
from migration.reporting.report import report
from migration.rules.replaying import BadThreshold, threshold


class ReportView(APIView):
    """The migration's report."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Every criterion of success with its measured figure, the phases, votes, rollbacks and shifts."""
        Query().parsed(request.query_params)
        return Response(report())


#: what is certain to be taken; percentages are, too
_SHARES = "error_rate|emergency_error_rate|gate_error_rate|gate_slow_rate"
_NUMBERS = "p99_ms|slow_patience_s|down_patience_s|minimum_requests|minimum_errors|looks"


@extend_schema_field(
    {"type": "string", "pattern": rf"^(({_SHARES})=0\.[0-9]{{0,5}}[1-9]|({_NUMBERS})=[1-9][0-9]{{0,5}})$"}
)
class Setting(Text):
    """THRESHOLD=VALUE."""


class ReplayQuery(Query):
    """Which thresholds to judge by."""

    set = several(Setting(max_length=100), help_text="such as `error_rate=0.5%`; none: those of then")

    def values(self, asked: Mapping[str, Any]) -> dict[str, float]:
        """Words to values. Raises ValidationError."""
        try:
            return {(pair := one.partition("="))[0]: threshold(pair[0], pair[2]) for one in asked.get("set", ())}
        except BadThreshold as error:
            raise ValidationError({"set": [str(error)]}) from error


class ReplayView(APIView):
    """A stored phase under other thresholds."""

    def get_query(self) -> Query:
        """Its parameters."""
        return ReplayQuery()

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: int) -> Response:
        """What the rollback rules and the Performance gate would have said; 404 where nothing is stored."""
        query = ReplayQuery()
        values = query.values(query.parsed(request.query_params))
        try:
            return Response(replay(pk, values).as_json())
        except NothingStored as error:
            raise NotFound(str(error)) from error
