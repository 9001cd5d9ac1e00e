"""The frames of pages that poll because their socket is down: the whole of a view, read at most twice a second."""

import threading
import time
from collections.abc import Callable

from dashboard.live.message import Message
from dashboard.live.sources import sources
from dashboard.live.view import View

#: a poll gets figures no older than this: at one poll in 2 s a page then never shows figures older than 3 s
POLL_FRESH_SECONDS = 0.5
#: views that are kept for the next poll
KEPT_VIEWS = 64


class Latest:
    """The whole of each view, however many ask."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._sources = sources()
        self._clock = clock
        self._lock = threading.Lock()
        self._views: dict[str, tuple[float, View]] = {}

    def knows(self, name: str) -> bool:
        """Whether there is such a view."""
        source = self._sources.get(name.partition("/")[0])
        return source is not None and source.knows(name)

    def frame(self, name: str) -> Message:
        """The newest whole. Raises what the database raises; then the next caller tries again."""
        with self._lock:
            taken_at, view = self._views.pop(name, (float("-inf"), View(name)))
            if self._clock() - taken_at > POLL_FRESH_SECONDS:
                taken_at = self._clock()
                view.tell(self._sources[view.family].look([name])[name], None)
            self._views[name] = (taken_at, view)
            while len(self._views) > KEPT_VIEWS:
                del self._views[next(iter(self._views))]
            return view.whole()


latest = Latest()
