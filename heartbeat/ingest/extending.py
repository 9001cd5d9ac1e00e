"""What other apps add to ingest: paths, frames of the robots' socket, and work of their own beside it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from heartbeat.ingest.answers import Answer, Headers
from heartbeat.ingest.marks import Marks
from heartbeat.ingest.register import Admitted

#: (headers, body, marks) → the answer to a POST
Call = Callable[[Headers, bytes, Marks], Awaitable[Answer]]
#: says something to one socket
Tell = Callable[[dict[str, Any]], None]
#: (whose socket, the frame, what answers); raises `schema.Invalid`
Frame = Callable[[Admitted, bytes, Tell], None]


class Sockets(Protocol):
    """The robots' sockets of this process."""

    def tell(self, robot_key: bytes, message: dict[str, Any]) -> int:
        """Say something to every open socket of a robot; returns to how many."""
        ...


class Extension(Protocol):
    """One app's part of ingest."""

    @property
    def paths(self) -> Mapping[str, Call]:
        """Paths below `/api/v2/` that robots POST to."""
        ...

    @property
    def frames(self) -> Mapping[str, Frame]:
        """Types of frames on the robots' socket."""
        ...

    def start(self, sockets: Sockets) -> None:
        """Begin; called in the running loop."""
        ...

    async def close(self) -> None:
        """End; what waits is written if it can be."""
        ...
