"""All views of this process: who watches which, and a tick for each family that is watched, one per second as a rule.

A source looks once per tick for everybody, in a thread. Families tick apart, so that a slow one holds up no other.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from dashboard.live.database import DatabaseThread
from dashboard.live.message import Message
from dashboard.live.metrics import TICK_SECONDS
from dashboard.live.view import Seat, State, View

log = structlog.get_logger(__name__)

PERIOD_SECONDS = 1.0


class Source(Protocol):
    """Where a family of views comes from."""

    def knows(self, name: str) -> bool:
        """Whether there can be a view of this name."""
        ...

    def look(self, names: Sequence[str]) -> Mapping[str, State]:
        """What these views show now; called in a thread. Raises what the database raises."""
        ...


class Hub:
    """`sources` by family: the part of a view's name before a slash."""

    def __init__(self, sources: Mapping[str, Source], period_seconds: float = PERIOD_SECONDS) -> None:
        self._sources = sources
        #: a source that has less patience says so itself, in `period_seconds`
        self._periods = {
            family: min(period_seconds, getattr(source, "period_seconds", period_seconds))
            for family, source in sources.items()
        }
        self._threads = {family: DatabaseThread(f"live {family}") for family in sources}
        self._views: dict[str, View] = {}
        self._tickers: dict[str, asyncio.Task[None]] = {}
        self._looks: dict[str, asyncio.Lock] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._seats: Counter[str] = Counter()

    def knows(self, name: str) -> bool:
        """Whether a view of this name can be subscribed to."""
        source = self._sources.get(name.partition("/")[0])
        return source is not None and source.knows(name)

    @property
    def watched(self) -> list[str]:
        """The names of all views with somebody in them."""
        return sorted(self._views)

    def join(self, seat: Seat) -> None:
        """Take a seat, get the whole at once if it is known, and every change from now on."""
        view = seat.view
        view.metrics.sockets.inc()
        view.seats.add(seat)
        self._seats[view.family] += 1
        if view.seq:
            seat.catch_up()
        elif view.family not in self._tickers:
            self._looks[view.family] = asyncio.Lock()
            self._tickers[view.family] = asyncio.create_task(self._run(view.family), name=f"live {view.family}")
        elif len(view.seats) == 1:
            # the others of its family have just been looked at; this one need not wait for the next second
            errand = asyncio.create_task(self._tick(view.family, [view]))
            self._errands.add(errand)
            errand.add_done_callback(self._errands.discard)

    def view(self, name: str) -> View:
        """The view of this name, for a seat that is about to be taken."""
        return self._views.setdefault(name, View(name))

    def leave(self, seat: Seat) -> None:
        """Give the seat back. A view without seats is forgotten, a family without views is not looked at."""
        view = seat.view
        if seat not in view.seats:
            return
        view.seats.discard(seat)
        self._seats[view.family] -= 1
        view.metrics.sockets.dec()
        if not view.seats:
            self._views.pop(view.name, None)
        if not self._seats[view.family]:
            ticker = self._tickers.pop(view.family, None)
            if ticker is not None:
                ticker.cancel()
                self._threads[view.family].rest()

    async def _run(self, family: str) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._tick(family, [view for view in self._views.values() if view.family == family])
            due = max(due + self._periods[family], loop.time())
            await asyncio.sleep(due - loop.time())

    async def _tick(self, family: str, views: Sequence[View]) -> None:
        async with self._looks[family]:
            began = time.perf_counter()
            try:
                news = await self._threads[family].ask(self._look, family, views)
            except Exception as error:  # whatever breaks, the page says so and the next second tries again
                log.exception("live.no_figures", view=family)
                for view in views:
                    view.tell_trouble(f"The site cannot read its figures: {_first_line(error)}")
            else:
                for view, (state, change) in news.items():
                    view.tell(state, change)
            looked = time.perf_counter()
            for view in views:
                await view.hand_out()
        TICK_SECONDS.labels(family, "look").observe(looked - began)
        TICK_SECONDS.labels(family, "hand_out").observe(time.perf_counter() - looked)

    def _look(self, family: str, views: Sequence[View]) -> dict[View, tuple[State, Message | None]]:
        states = self._sources[family].look([view.name for view in views])
        return {view: (states[view.name], view.change_to(states[view.name])) for view in views}


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), repr(error))
