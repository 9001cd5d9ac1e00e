"""Only this site's own pages may open its sockets."""

from typing import Any
from urllib.parse import urlparse

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable
from channels.security.websocket import OriginValidator
from django.conf import settings


class AllowedOrigins(OriginValidator):
    """Channels' check of `Origin` against ALLOWED_HOSTS.

    Its own refusal is a consumer, which subscribes to Redis for five seconds; this one says no.
    """

    def __init__(self, application: Any) -> None:
        super().__init__(application, settings.ALLOWED_HOSTS)

    async def __call__(self, scope: dict[str, Any], receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Go on only with a page of this site."""
        sent = [value for name, value in scope["headers"] if name == b"origin"]
        if self.valid_origin(urlparse(sent[-1].decode("latin-1")) if sent else None):
            await self.application(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 1000, "reason": None})
