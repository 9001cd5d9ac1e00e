"""The part of ingest that is teleoperation's."""

from collections.abc import Mapping

from heartbeat.ingest.access import Access
from heartbeat.ingest.extending import Call, Frame, Sockets
from teleop.receiving.recorder import SignalRecorder
from teleop.receiving.signals import SignalCalls
from teleop.receiving.stops import Stops


class Receiving:
    """Signals up, requests to stop down."""

    def __init__(self, dsn: str, access: Access) -> None:
        self._recorder = SignalRecorder(dsn)
        self._calls = SignalCalls(self._recorder, access)
        self._stops = Stops(dsn)

    @property
    def paths(self) -> Mapping[str, Call]:
        """Paths that robots POST to."""
        return {"/api/v2/teleop/signals": self._calls.answer}

    @property
    def frames(self) -> Mapping[str, Frame]:
        """Types of frames on the robots' socket."""
        return {"signals": self._calls.frame, "command_result": self._stops.frame}

    def start(self, sockets: Sockets) -> None:
        """Begin; called in the running loop."""
        self._recorder.start()
        self._stops.start(sockets)

    async def close(self) -> None:
        """End; signals that wait are written if they can be."""
        await self._stops.close()
        await self._recorder.close()
