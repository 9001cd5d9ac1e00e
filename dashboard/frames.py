"""What travels to a page, as JSON.

`{"seq", "whole", "at", "html": {region: html}, "data": {name: value}}`, or `{"seq", "trouble"}`.
"""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from dashboard.partials import Screen, screen
from dashboard.snapshot import take

#: a poll gets figures no older than this: at one poll in 2 s a page then never shows figures older than 3 s
POLL_FRESH_SECONDS = 0.5


def changed(now: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """The entries of `now` that `before` did not have, or had otherwise; all of them without a `before`."""
    return now if before is None else {name: value for name, value in now.items() if before.get(name) != value}


def frame(seq: int, shown: Screen, before: Screen | None = None) -> str:
    """One frame as JSON: everything, or only what changed since `before`."""
    return json.dumps(
        {
            "seq": seq,
            "whole": before is None,
            "at": shown.at,
            "html": changed(shown.html, before.html if before else None),
            "data": changed(shown.data, before.data if before else None),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def trouble_frame(seq: int, sentence: str) -> str:
    """A frame that brings no figures but says why."""
    return json.dumps({"seq": seq, "trouble": sentence}, ensure_ascii=False, separators=(",", ":"))


class Latest:
    """The whole screen for pages that poll: taken at most twice a second however many ask."""

    def __init__(self, look: Callable[[], Screen]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._taken_at = float("-inf")
        self._frame = ""
        self._seq = 0

    def frame(self) -> str:
        """The newest whole frame. Raises what the database raises; then the next caller tries again."""
        with self._lock:
            if time.monotonic() - self._taken_at > POLL_FRESH_SECONDS:
                self._frame = frame(self._seq + 1, self._look())
                self._seq += 1
                self._taken_at = time.monotonic()
            return self._frame


def look() -> Screen:
    """Take a snapshot and render it."""
    return screen(take())


latest = Latest(look)
