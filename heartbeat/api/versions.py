"""ETags that cost one narrow query: the versions of the rows that an answer is made of, not the answer."""

import hashlib
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db.models import F, Func, TextField
from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.response import Response


class RowVersion(Func):
    """PostgreSQL's own version of a row: which transaction wrote it, and where. Every update changes both.

    `field` is any column of the table, to find the table by.
    """

    output_field = TextField()

    def __init__(self, field: str = "pk") -> None:
        super().__init__(F(field))

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:
        """`xmin` and `ctid` of the table of the column."""
        (column,) = self.source_expressions
        table = connection.ops.quote_name(column.alias)
        return f"({table}.xmin::text || {table}.ctid::text)", []


def etag_of(*parts: Any) -> str:
    """A weak ETag of what an answer is made of. Another build may answer otherwise, so it is in it."""
    return f'W/"{digest(settings.NEW_BUILD, *parts)}"'


def digest(*parts: Any) -> str:
    """22 letters that differ when `repr` of a part does."""
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=11).hexdigest()


def is_current(request: Request, etag: str) -> bool:
    """Whether the caller has this very version already (`If-None-Match`, compared weakly)."""
    known = parse_etags(request.headers.get("if-none-match", ""))
    return known == ["*"] or _opaque(etag) in map(_opaque, known)


def not_modified(etag: str) -> Response:
    """304 with what RFC 9110 wants beside it."""
    return tagged(Response(status=304), etag)


def tagged(response: Response, etag: str) -> Response:
    """`response` with its ETag; whoever stores it asks before using it."""
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    return response


def opaque_tags(header: str) -> Iterable[str]:
    """The tags of an `If-Match` or `If-None-Match`, weak or not; `*` stays itself."""
    return map(_opaque, parse_etags(header))


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')
