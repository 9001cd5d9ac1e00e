"""Pages by cursor: a page continues after the row that the page before ended with, whatever came or went meanwhile.

DRF's own cursor breaks on NULLs and on a cursor that somebody typed; this one sorts NULLs at a fixed place and
refuses what it did not make.
"""

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import (
    BigIntegerField,
    BinaryField,
    DateTimeField,
    F,
    Field,
    FloatField,
    Model,
    Q,
    QuerySet,
    TextField,
    Value,
)
from django.db.models.functions import Coalesce
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

_LONGEST_CURSOR = 4_000
_COLUMNS: Mapping[type, Field] = {
    bytes: BinaryField(),
    datetime: DateTimeField(),
    float: FloatField(),
    int: BigIntegerField(),
    str: TextField(),
}
_WRITE: Mapping[type, Callable[[Any], Any]] = {datetime: datetime.isoformat, bytes: bytes.hex}


@dataclass(frozen=True, slots=True)
class Order:
    """Rows sorted by `column` (a field or an annotation), whose values are of `kind`; `absent` stands for NULL."""

    column: str
    kind: type
    absent: Any = None

    def expression(self) -> Any:
        """What to sort by; never NULL."""
        if self.absent is None:
            return F(self.column)
        # Typed, or Django takes -1 to be out of range of a column that has no negative numbers.
        return Coalesce(F(self.column), Value(self.absent), output_field=_COLUMNS[self.kind])

    def written(self, value: Any) -> Any:
        """A value as JSON has it."""
        value = bytes(value) if self.kind is bytes else value
        return _WRITE.get(self.kind, self.kind)(value)

    def read(self, value: Any) -> Any:
        """The value back. Raises ValueError for what `written` cannot have made."""
        if self.kind is datetime:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise ValueError("a time without an offset")
            return moment
        if self.kind is bytes:
            return bytes.fromhex(value)
        if type(value) is not self.kind:
            raise ValueError(f"not a {self.kind.__name__}")
        if (self.kind is int and abs(value) >= 2**63) or (self.kind is float and not math.isfinite(value)):
            raise ValueError("out of range")
        if self.kind is str and "\x00" in value:
            raise ValueError("a NUL")
        return value


@dataclass(slots=True)
class Page:
    """A slice of the rows, not yet fetched: one row more than the page, to learn whether there is another."""

    rows: QuerySet[Any]
    limit: int
    order: str
    backwards: bool = False
    continued: bool = False
    #: filled by `fetch`: the rows to show, in the order that was asked for
    shown: Sequence[Model] = field(default_factory=list)
    more: bool = False

    def fetch(self) -> Sequence[Model]:
        """Read the rows."""
        found = list(self.rows)
        self.more = len(found) > self.limit
        found = found[: self.limit]
        self.shown = found[::-1] if self.backwards else found
        return self.shown


class Keyset(BasePagination):
    """DRF pagination. A subclass names the orders a caller may choose, the usual one, and the column that is unique."""

    orders: ClassVar[Mapping[str, Order]]
    default: ClassVar[str]
    unique: ClassVar[Order] = Order("pk", int)
    limit: ClassVar[int] = 100
    highest_limit: ClassVar[int] = 1_000

    @classmethod
    def parameters(cls) -> dict[str, serializers.Field]:
        """The query parameters of paging."""
        choices = [sign + name for name in cls.orders for sign in ("", "-")]
        return {
            "order": serializers.ChoiceField(
                choices, required=False, help_text=f"`-` sorts downwards. Default: `{cls.default}`"
            ),
            "limit": serializers.IntegerField(
                min_value=1,
                max_value=cls.highest_limit,
                required=False,
                help_text=f"Rows of a page. Default: {cls.limit}; CSV: all rows",
            ),
            "cursor": serializers.CharField(
                max_length=_LONGEST_CURSOR, required=False, help_text="From `next` or `previous` of another page"
            ),
        }

    def page(self, rows: QuerySet[Any], asked: Mapping[str, Any]) -> Page:
        """The slice of `rows` that the parameters ask for. Raises ValidationError for a cursor of somewhere else."""
        name = asked.get("order", self.default)
        order, downwards = self.orders[name.lstrip("-")], name.startswith("-")
        page = Page(rows.annotate(_by=order.expression()), asked.get("limit", self.limit), name)
        if "cursor" in asked:
            page.continued = True
            page.backwards, by, unique = self._read(asked["cursor"], name, order)
            beyond = "lt" if downwards != page.backwards else "gt"
            after = Q(**{f"_by__{beyond}": by}) | Q(**{"_by": by, f"{self.unique.column}__{beyond}": unique})
            page.rows = page.rows.filter(after)
        sign = "-" if downwards != page.backwards else ""
        page.rows = page.rows.order_by(f"{sign}_by", f"{sign}{self.unique.column}")[: page.limit + 1]
        return page

    def following(self, page: Page) -> str | None:
        """The cursor of the page after a fetched one, or None at the end."""
        there_is = bool(page.shown) and (page.backwards or page.more)
        return self._cursor(page, page.shown[-1], backwards=False) if there_is else None

    def preceding(self, page: Page) -> str | None:
        """The cursor of the page before, or None at the start."""
        there_is = bool(page.shown) and (page.more if page.backwards else page.continued)
        return self._cursor(page, page.shown[0], backwards=True) if there_is else None

    def answer(self, page: Page, shown: Any, request: Request) -> Response:
        """The fetched page, rendered, with links to its neighbours."""
        here = request.build_absolute_uri()

        def link(cursor: str | None) -> str | None:
            return replace_query_param(here, "cursor", cursor) if cursor else None

        links = {"next": link(self.following(page)), "previous": link(self.preceding(page))}
        return Response({**links, "results": shown})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """What `answer` answers, for the OpenAPI document."""
        link = {"type": ["string", "null"], "format": "uri", "readOnly": True}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": {**link, "description": "the page after this one; null at the end"},
                "previous": {**link, "description": "the page before this one; null at the start"},
                "results": schema,
            },
        }

    def _cursor(self, page: Page, row: Any, *, backwards: bool) -> str:
        order = self.orders[page.order.lstrip("-")]
        place = [page.order, backwards, order.written(row._by), self.unique.written(getattr(row, self.unique.column))]
        return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")

    def _read(self, cursor: str, name: str, order: Order) -> tuple[bool, Any, Any]:
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            made_for, backwards, by, unique = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            place = bool(backwards), order.read(by), self.unique.read(unique)
        except (ValueError, TypeError, binascii.Error, RecursionError) as error:
            raise ValidationError({"cursor": ["is none that this list made"]}) from error
        if made_for != name:
            raise ValidationError({"cursor": [f"belongs to the order {made_for!r}, not to {name!r}"]})
        return place
