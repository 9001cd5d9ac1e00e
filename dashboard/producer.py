"""One renderer per process for all sockets: takes a snapshot once a second while somebody watches.

No queue anywhere. The producer keeps the newest screen and its difference to the one before; every socket asks for what
is newer than what it has. One that kept up gets the difference, one that was slow or has just come gets the whole
screen, and both texts are encoded once for all. A socket that does not read costs the one frame in its own `send`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from channels.db import DatabaseSyncToAsync

from dashboard.frames import frame, look, trouble_frame
from dashboard.partials import Screen

log = structlog.get_logger(__name__)

PERIOD_SECONDS = 1.0


async def look_in_thread() -> Screen:
    """Look without holding the event loop, in a thread that gives its database connection back."""
    return await DatabaseSyncToAsync(look, thread_sensitive=False)()


class Producer:
    """The screen of this process, once per period while it is watched."""

    def __init__(
        self, look: Callable[[], Awaitable[Screen]] = look_in_thread, period_seconds: float = PERIOD_SECONDS
    ) -> None:
        self._look = look
        self._period = period_seconds
        self._watchers = 0
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self.seq = 0
        self._screen: Screen | None = None
        self._delta = ""
        self._whole: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether it renders: only while somebody watches."""
        return self._task is not None

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch: the first one starts the rendering, the last one stops it."""
        self._watchers += 1
        if self._task is None:
            # what was shown before the pause is neither news nor a base for a difference
            self._screen, self._delta, self._whole = None, "", None
            self._news = asyncio.Condition()  # nobody waits on the old one, and it belongs to the loop that used it
            self._task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._watchers -= 1
            if self._watchers == 0 and self._task is not None:
                self._task.cancel()
                self._task = None

    async def newer(self, than: int) -> tuple[int, str]:
        """Wait for a frame newer than `than`; returns its number and text. `0` means the reader has nothing yet."""
        async with self._news:
            await self._news.wait_for(lambda: self.seq > than and bool(self._delta))
            if than == self.seq - 1 and than > 0:
                return self.seq, self._delta
            if self._whole is None:
                self._whole = frame(self.seq, self._screen) if self._screen else self._delta
            return self.seq, self._whole

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._produce()
            due = max(due + self._period, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _produce(self) -> None:
        try:
            shown = await self._look()
        except Exception as error:  # whatever breaks, the page says so and the next second tries again
            log.exception("live.no_figures")
            await self._tell(None, f"The site cannot read its figures: {_first_line(error)}")
        else:
            await self._tell(shown, "")

    async def _tell(self, shown: Screen | None, trouble: str) -> None:
        async with self._news:
            self.seq += 1
            self._whole = None
            if shown is None:
                self._delta = self._whole = trouble_frame(self.seq, trouble)
            else:
                self._delta = frame(self.seq, shown, self._screen)
            # without figures there is no base: whoever came meanwhile has nothing that a difference could change
            self._screen = shown
            self._news.notify_all()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), repr(error))
