"""JSON bodies."""

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer


class BoundedJSONParser(JSONParser):
    """DRF's own, which a body that is nested too deeply would break."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        """The parsed body. Raises ParseError."""
        try:
            return super().parse(*args, **kwargs)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error


def body_of(request: Request, serializer: type[BaseSerializer]) -> dict[str, Any]:
    """The body as `serializer` takes it. Raises ValidationError, which names the field."""
    parsed = serializer(data=request.data)
    parsed.is_valid(raise_exception=True)
    return dict(parsed.validated_data)
