"""The live process (uvicorn, 8013): the browsers' WebSockets under `/ws/`, and its own `/metrics`."""

import os
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import path, re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_site = get_asgi_application()

from dashboard.consumers import OverviewConsumer  # noqa: E402 - needs the apps that the line above loads
from dashboard.producer import Producer  # noqa: E402


async def _nothing_here(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Refuse a socket on an unknown path."""
    await receive()
    await send({"type": "websocket.close", "code": 4404})


application = ProtocolTypeRouter(
    {
        "http": _site,
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(
                URLRouter([path("ws/overview/", OverviewConsumer(Producer())), re_path(r"", _nothing_here)])
            )
        ),
    }
)
