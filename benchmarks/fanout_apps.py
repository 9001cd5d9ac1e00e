"""What `benchmarks.fanout` runs beside the live process as it is: the same without a pause, and the baseline."""

import asyncio
import json
import os
import time
from datetime import UTC, datetime
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_site = get_asgi_application()

from dashboard.live.consumer import ViewsConsumer  # noqa: E402 - needs the apps that the line above loads
from dashboard.live.hub import Hub  # noqa: E402
from dashboard.live.lifespan import lifespan  # noqa: E402
from dashboard.live.origin import AllowedOrigins  # noqa: E402
from dashboard.live.sessions import Sessions  # noqa: E402
from dashboard.live.sources import sources  # noqa: E402


def _routed(consumer: Any) -> ProtocolTypeRouter:
    sockets = AllowedOrigins(URLRouter([path("ws/views/", consumer)]))
    return ProtocolTypeRouter({"http": _site, "lifespan": lifespan, "websocket": sockets})


#: the live process, looking again as soon as everybody has been served
saturated = _routed(ViewsConsumer(Hub(sources(), period_seconds=0.0), Sessions()))


class GroupConsumer(AsyncWebsocketConsumer):
    """As the Channels tutorial has it: a group per view, `group_send` per update."""

    members = 0
    delivered = 0
    sender: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Join the group; the last one starts the sending."""
        await self.channel_layer.group_add("fleet", self.channel_name)
        await self.accept()
        hello = {"view": "fleet", "whole": True, "at": datetime.now(UTC).isoformat()}
        await self.send(text_data=json.dumps(hello))
        GroupConsumer.members += 1
        if GroupConsumer.members == int(os.environ["BROWSERS"]) and GroupConsumer.sender is None:
            GroupConsumer.sender = asyncio.create_task(_send_all_the_time())

    async def disconnect(self, code: int) -> None:
        """Leave the group."""
        await self.channel_layer.group_discard("fleet", self.channel_name)
        GroupConsumer.members -= 1

    async def fleet_changed(self, event: dict[str, Any]) -> None:
        """One update for this browser."""
        await self.send(text_data=event["text"])
        GroupConsumer.delivered += 1


async def _send_all_the_time() -> None:
    """The next update as soon as everybody has the last one, or it is clear that the layer has dropped some."""
    layer = get_channel_layer()
    filling = "x" * int(os.environ["FRAME_BYTES"])
    while True:
        wanted = GroupConsumer.delivered + GroupConsumer.members
        text = json.dumps({"view": "fleet", "at": datetime.now(UTC).isoformat(), "filling": filling})
        await layer.group_send("fleet", {"type": "fleet.changed", "text": text})
        gives_up = time.monotonic() + 10
        while GroupConsumer.delivered < wanted and time.monotonic() < gives_up:  # noqa: ASYNC110 - as for a queue
            await asyncio.sleep(0.001)


group_send = _routed(GroupConsumer.as_asgi())
