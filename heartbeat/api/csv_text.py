"""Rows as CSV (RFC 4180) and back. A list is separated by semicolons, an object is JSON.

A text that a spreadsheet would take for a formula gets an apostrophe in front, which is taken off when it comes back.
"""

import csv
import io
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from heartbeat.api.paging import Keyset

CONTENT_TYPE = "text/csv; charset=utf-8"
LIST_SEPARATOR = ";"
ROWS_AT_ONCE = 500
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

#: rows → what a page of them shows
Shown = Callable[[Any], list[dict[str, Any]]]


def streamed(
    request: Request,
    *,
    names: Sequence[str],
    paginator: Keyset,
    rows: QuerySet[Any],
    asked: Mapping[str, Any],
    shown: Shown,
) -> StreamingHttpResponse:
    """All of `rows` from the cursor on, or as many as `limit` says; columns `names`, page by page as they are read."""
    pages = itertools.chain([written([names])], _pages(paginator, rows, asked, shown))
    # Django would gather a synchronous iterator whole under ASGI.
    asynchronous = isinstance(request._request, ASGIRequest)
    response = StreamingHttpResponse(_asynchronous(pages) if asynchronous else pages, content_type=CONTENT_TYPE)
    response["Content-Disposition"] = f'attachment; filename="{request.path.rstrip("/").rpartition("/")[2]}.csv"'
    return response


def written(rows: Iterable[Iterable[Any]]) -> str:
    """Rows of cells as text."""
    text = io.StringIO()
    csv.writer(text).writerows(map(_cell, row) for row in rows)
    return text.getvalue()


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV text: the columns, and (line number, column → cell) of every line that is not blank."""

    columns: Sequence[str]
    rows: Sequence[tuple[int, Mapping[str, str]]]


class CSVParser(BaseParser):
    """A body with a header line → a `Table`."""

    media_type = "text/csv"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Table:
        """Read all lines. Raises ParseError, naming the line."""
        body = parser_context["request"]._request.body
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ParseError(f"the CSV is not UTF-8: byte {error.start}") from error
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            header = next(lines, None)
            if not header or len(set(header)) < len(header):
                raise ParseError("the first line must name the columns, each once")
            return Table(header, [(lines.line_num, _named(header, cells, lines.line_num)) for cells in lines if cells])
        except csv.Error as error:
            raise ParseError(f"line {lines.line_num} is not CSV: {error}") from error


def _named(header: list[str], cells: list[str], line: int) -> dict[str, str]:
    if len(cells) != len(header):
        raise ParseError(f"line {line} has {len(cells)} cells, the header has {len(header)}")
    return {name: _plain(cell) for name, cell in zip(header, cells, strict=True)}


def _pages(paginator: Keyset, rows: QuerySet[Any], asked: Mapping[str, Any], shown: Shown) -> Iterator[str]:
    """The text page by page. Each page is a query of its own: nothing is held while a slow reader reads."""
    left = asked.get("limit")
    place = dict(asked)
    while True:
        place["limit"] = ROWS_AT_ONCE if left is None else min(left, ROWS_AT_ONCE)
        page = paginator.page(rows, place)
        found = shown(page.fetch())
        if found:
            yield written(row.values() for row in found)
        left = None if left is None else left - len(found)
        cursor = paginator.following(page)
        if cursor is None or left == 0:
            return
        place["cursor"] = cursor


async def _asynchronous(pages: Iterator[str]) -> AsyncIterator[str]:
    def following() -> str | None:
        return next(pages, None)

    while (text := await sync_to_async(following)()) is not None:
        yield text


def _cell(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = LIST_SEPARATOR.join(value)
    elif isinstance(value, dict | list):
        value = json.dumps(value)
    if isinstance(value, str) and value.startswith((*_FORMULA, "'")):
        return f"'{value}"
    return value


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith((*_FORMULA, "'")) else cell
