"""REST v2 of the audit log: its list with filters, its export, its proof."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiTypes, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api.listing import Listing
from heartbeat.api.paging import Keyset, Order
from heartbeat.api.queries import Moment, Query
from heartbeat.api.rendering import CSVRenderer, EscapingJSONRenderer
from heartbeat.api.serializers import Text
from migration import audit
from migration.auditing import guarding
from migration.auditing.exporting import exported
from migration.auditing.querying import narrowed
from migration.models import AuditEntry
from migration.rules.auditing import facets


class BySequence(Keyset):
    """The audit log in its own order."""

    orders = {"sequence": Order("sequence", int)}
    default = "-sequence"
    unique = Order("sequence", int)


class AuditQuery(Query):
    """Which entries."""

    actor = Text(max_length=150, required=False)
    action = Text(max_length=64, required=False, help_text="or the beginning of one")
    since = Moment(required=False)
    until = Moment(required=False)
    q = Text(max_length=200, required=False, help_text="in the sentence, the actor, the action or the reason")


class AuditSerializer(serializers.ModelSerializer):
    """An entry of the audit log: who, what, why, before, after."""

    why = serializers.SerializerMethodField()
    before = serializers.SerializerMethodField()
    after = serializers.SerializerMethodField()

    class Meta:
        model = AuditEntry
        fields = [
            *("sequence", "at", "actor", "action", "sentence", "why", "before", "after"),
            *("detail", "uid", "previous_hash", "hash"),
        ]

    def get_why(self, entry: AuditEntry) -> str:
        """The reason that was given."""
        return facets(entry.detail).why

    @extend_schema_field(OpenApiTypes.ANY)
    def get_before(self, entry: AuditEntry) -> Any:
        """What was so before."""
        return facets(entry.detail).before

    @extend_schema_field(OpenApiTypes.ANY)
    def get_after(self, entry: AuditEntry) -> Any:
        """What is so after."""
        return facets(entry.detail).after


class AuditView(Listing):
    """The audit log, newest first."""

    queryset = AuditEntry.objects.all()
    serializer_class = AuditSerializer
    pagination_class = BySequence
    query_class = AuditQuery

    def narrowed(self, rows: QuerySet[AuditEntry], asked: Mapping[str, Any]) -> QuerySet[AuditEntry]:
        """By who, what and when."""
        return narrowed(rows, asked)


class JSONLinesRenderer(EscapingJSONRenderer):
    """One object a line."""

    media_type = "application/x-ndjson"
    format = "jsonl"


class AuditExportView(APIView):
    """The audit log whole, the oldest first."""

    renderer_classes = [JSONLinesRenderer, CSVRenderer]

    class ExportQuery(AuditQuery):
        """The same filters, and how."""

        format = serializers.ChoiceField(["jsonl", "csv"], required=False, help_text="Instead of `Accept`")

    def get_query(self) -> Query:
        """All parameters."""
        return self.ExportQuery()

    @extend_schema(
        responses={(200, "application/x-ndjson"): OpenApiTypes.STR, (200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Every entry with all that its hash is over, so that the chain can be proven elsewhere."""
        asked = self.get_query().parsed(request.query_params)
        form = request.accepted_renderer.format
        return streamed(request._request, narrowed(AuditEntry.objects.all(), asked), form)


def streamed(request: Any, entries: QuerySet[AuditEntry], as_format: str) -> StreamingHttpResponse:
    """The entries as a file to keep."""
    pieces = exported(entries, as_format)
    media = "text/csv; charset=utf-8" if as_format == "csv" else "application/x-ndjson"
    # Django would gather a synchronous iterator whole under ASGI.
    body = _asynchronous(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(body, content_type=media)
    response["Content-Disposition"] = f'attachment; filename="audit.{as_format}"'
    return response


async def _asynchronous(pieces: Iterator[str]) -> AsyncIterator[str]:
    def following() -> str | None:
        return next(pieces, None)

    while (piece := await sync_to_async(following)()) is not None:
        yield piece


class Proof(serializers.Serializer):
    """What the walk along the chain found."""

    whole = serializers.BooleanField()
    entries = serializers.IntegerField()
    complaints = serializers.ListField(child=serializers.CharField())
    weaknesses = serializers.ListField(child=serializers.CharField(), help_text="what the database cannot resist")


class AuditProofView(APIView):
    """Whether the log is whole."""

    @extend_schema(responses=Proof)
    def get(self, request: Request) -> Response:
        """Walk the whole chain up to the anchored head now."""
        Query().parsed(request.query_params)
        return Response(Proof(proof()).data)


def proof() -> dict[str, Any]:
    """The log's proof as the page and REST show it."""
    complaints = [*audit.verify(), *guarding.gaps()]
    return {
        "whole": not complaints,
        "entries": AuditEntry.objects.count(),
        "complaints": complaints,
        "weaknesses": guarding.weaknesses(),
    }
