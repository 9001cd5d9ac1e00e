"""A list of the REST API: parameters, pages, ETags, chosen fields and CSV, the same everywhere."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request

from heartbeat.api import csv_text
from heartbeat.api.paging import Keyset
from heartbeat.api.queries import Names, Query
from heartbeat.api.rendering import CSVRenderer, EscapingJSONRenderer
from heartbeat.api.versions import RowVersion, etag_of, is_current, not_modified, tagged


class Listing(ListAPIView):
    """A subclass names `queryset`, `serializer_class`, `pagination_class` (a `Keyset`), and what can be filtered by.

    `query_class` declares the filters, `narrowed` applies them. Paging, `?fields=`, CSV and ETags come with it.
    """

    query_class: type[Query] = Query
    pagination_class: type[Keyset]
    renderer_classes = [EscapingJSONRenderer, CSVRenderer]

    def narrowed(self, rows: QuerySet[Any], asked: Mapping[str, Any]) -> QuerySet[Any]:
        """The rows that the filters in `asked` leave. All of them, unless a subclass says otherwise."""
        return rows

    def versions(self, rows: QuerySet[Any]) -> Any:
        """What the ETag of these rows is made of; in it must be all that an answer can differ by."""
        return list(rows.values_list(RowVersion(), flat=True))

    def get_renderers(self) -> list[Any]:
        """CSV is for reading."""
        return super().get_renderers() if self.request.method in ("GET", "HEAD") else [EscapingJSONRenderer()]

    def get_query(self) -> Query:
        """All parameters of the list."""
        query = self.query_class()
        query.fields.update(self.pagination_class.parameters())
        query.fields["fields"] = Names(
            self.get_serializer_class()().fields, required=False, help_text="Only these, separated by commas"
        )
        query.fields["format"] = serializers.ChoiceField(
            [renderer.format for renderer in self.renderer_classes], required=False, help_text="Instead of `Accept`"
        )
        return query

    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """One page as JSON, 304 if the caller has it already, or all rows as CSV."""
        asked = self.get_query().parsed(request.query_params)
        rows = self.narrowed(self.get_queryset(), asked)
        page = self.paginator.page(rows, asked)
        serializer = self._serializer(asked)
        if request.accepted_renderer.format == CSVRenderer.format:
            return csv_text.streamed(
                request,
                names=list(serializer.fields),
                paginator=self.paginator,
                rows=rows,
                asked=asked,
                shown=self._shown_by(serializer),
            )
        etag = etag_of(self.versions(page.rows))
        if is_current(request, etag):
            return not_modified(etag)
        return tagged(self.paginator.answer(page, self._shown_by(serializer)(page.fetch()), request), etag)

    def _serializer(self, asked: Mapping[str, Any]) -> serializers.BaseSerializer[Any]:
        serializer = self.get_serializer()
        for name in set(serializer.fields).difference(asked.get("fields", serializer.fields)):
            serializer.fields.pop(name)
        return serializer

    def _shown_by(self, serializer: serializers.BaseSerializer[Any]) -> csv_text.Shown:
        return lambda rows: [serializer.to_representation(row) for row in rows]
