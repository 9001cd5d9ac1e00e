"""A browser of a test: what a page makes of the frames of a view."""

import json
from typing import Any

from websockets.sync.client import ClientConnection


class FollowedFleet:
    """The robots as a page has them after some frames: a mapping of fields for each line."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}

    def take(self, frame: dict[str, Any]) -> None:
        """Apply a whole or a change, as `static/dashboard/lines.js` does."""
        self.summary.update(frame.get("summary", {}))
        if "columns" in frame:
            self.lines = _rows(frame["columns"])
        for name, groups in frame.get("changed", {}).items():
            for value, distances in groups:
                place = 0
                for distance in distances:
                    place += distance
                    self.lines[place][name] = value
        self.lines += _rows(frame.get("added", {}))


def _rows(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def receive(socket: ClientConnection, view: str | None = None) -> dict[str, Any]:
    """The next frame, of a view if one is named."""
    while True:
        frame = json.loads(socket.recv(timeout=20))
        if view is None or frame.get("view") == view:
            return frame
