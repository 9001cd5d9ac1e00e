"""What answers are written in: JSON that holds all a robot may send, and CSV for spreadsheets."""

from collections.abc import Iterable, Sequence
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer

from heartbeat.rules.json_text import finite


class EscapingJSONRenderer(JSONRenderer):
    """Escapes what is not ASCII (a lone surrogate has no bytes in UTF-8); what JSON has no number for is null."""

    ensure_ascii = True

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        """The body as bytes."""
        try:
            return super().render(data, *args, **kwargs)
        except ValueError:
            return super().render(finite(data), *args, **kwargs)


class CSVRenderer(EscapingJSONRenderer):
    """Lets a caller ask for CSV, which `Listing` streams by itself; a problem is JSON for them too."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"


class Negotiation(DefaultContentNegotiation):
    """`?format=` wins over `Accept`; a format that is not offered is a wrong parameter, not a missing page."""

    def filter_renderers(self, renderers: Sequence[Any], format: str) -> Iterable[Any]:
        """The renderers of this format."""
        found = [renderer for renderer in renderers if renderer.format == format]
        if not found:
            offered = ", ".join(renderer.format for renderer in renderers)
            raise ValidationError({"format": [f"is not offered here; there is {offered}"]})
        return found
