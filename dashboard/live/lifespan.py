"""What the live process does once at its start."""

from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

from heartbeat.garbage import collect_rarely


async def lifespan(scope: dict[str, Any], receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Let the garbage collector look rarely: each socket brings a hundred objects that live as long as it."""
    await receive()
    collect_rarely()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
