"""The live process (uvicorn, 8013): the browsers' WebSockets under `/ws/`, and its own `/metrics`.

`uvicorn config.live:application --ws dashboard.live.protocol:BrowserSocket --ws-per-message-deflate false`: the socket
class agrees on compression itself, in the way that lets one compressed text serve every browser.
"""

import os
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path, re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_site = get_asgi_application()

from dashboard.live.consumer import NO_SUCH_VIEW, ViewsConsumer  # noqa: E402 - needs the apps that the line above loads
from dashboard.live.hub import Hub  # noqa: E402
from dashboard.live.lifespan import lifespan  # noqa: E402
from dashboard.live.origin import AllowedOrigins  # noqa: E402
from dashboard.live.sessions import Sessions  # noqa: E402
from dashboard.live.sources import sources  # noqa: E402


async def _nothing_here(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Refuse a socket on an unknown path."""
    await receive()
    await send({"type": "websocket.close", "code": NO_SUCH_VIEW})


_hub, _sessions = Hub(sources()), Sessions()
application = ProtocolTypeRouter(
    {
        "http": _site,
        "lifespan": lifespan,
        "websocket": AllowedOrigins(
            URLRouter(
                [
                    path("ws/views/", ViewsConsumer(_hub, _sessions)),
                    path("ws/teleop/", ViewsConsumer(_hub, _sessions, ["operating"])),
                    re_path(r"", _nothing_here),
                ]
            )
        ),
    }
)
