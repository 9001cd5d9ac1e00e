"""What the live process does once at its start."""

import gc
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

#: containers that are alive more than at the last collection, and younger collections per older one
THRESHOLDS = (50_000, 20, 20)


async def lifespan(scope: dict[str, Any], receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Let the garbage collector look less often, and never at what was loaded before.

    Each new socket brings about a hundred objects that live as long as it; Python's defaults walk all of them, and all
    of Django, again and again while 10,000 come back: that was 45 % of what a handshake cost.
    """
    await receive()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
