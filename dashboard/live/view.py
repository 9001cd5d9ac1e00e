"""One view: its newest state, the changes that led there, and the seats of those who watch it.

Nothing is queued per browser. A seat knows the number of the frame it has; one that kept up gets the change, one that
missed some gets the changes since, and one that missed many (or has just come) gets the whole. All of them are bytes
that are shared. A socket that has not taken what was written gets nothing until it has.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol, Self

from dashboard.live.message import Message
from dashboard.live.metrics import metrics_of
from dashboard.live.protocol import BrowserSocket

#: changes that are kept for those who missed some, and how much of them is sent instead of the whole
RECENT_CHANGES = 60
CATCH_UP_BYTES = 64 * 1024
#: the loop comes round after this many sockets, so that it really sends, reads and answers in between
SOCKETS_PER_TURN = 250


class State(Protocol):
    """What a view shows at one moment; never changed once it is made. `at` is the server's time of the figures."""

    at: str

    def whole(self) -> dict[str, Any]:
        """Everything, as JSON can carry it."""
        ...

    def change(self, before: Self) -> dict[str, Any] | None:
        """What is different from `before`; None when that cannot be told, then everybody gets the whole."""
        ...


class Seat:
    """One socket's place in one view. `seen` is the number of the newest frame it has, 0 for none."""

    __slots__ = ("seen", "socket", "view")

    def __init__(self, socket: BrowserSocket, view: "View") -> None:
        self.socket = socket
        self.view = view
        self.seen = 0

    def catch_up(self) -> None:
        """Send what is missing, if there is room for it."""
        if self.socket.is_full or self.seen == self.view.seq:
            return
        for frame in self.view.missing(self.seen, deflate=self.socket.deflates):
            self.socket.write_frame(frame)
        self.seen = self.view.seq
        self.view.metrics.frames.inc()

    def start_over(self) -> None:
        """Forget what was sent and send the whole."""
        self.seen = 0
        self.catch_up()


class View:
    """See above. `family` is the bounded word of the metrics: the part of the name before a slash."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.family = name.partition("/")[0]
        self.metrics = metrics_of(self.family)
        self.seats: set[Seat] = set()
        self.seq = 0
        self._state: State | None = None
        self._recent: deque[Message] = deque(maxlen=RECENT_CHANGES)
        self._whole: Message | None = None

    def change_to(self, state: State) -> Message | None:
        """Encode what leads from the newest state to this one; None without one. Safe in another thread than `tell`
        as long as only one of both runs at a time."""
        change = state.change(self._state) if self._state is not None else None
        if change is None:
            return None
        message = Message({"view": self.name, "seq": self.seq + 1, "at": state.at, **change})
        for deflate in (True, False):
            message.frame(deflate=deflate)
        return message

    def tell(self, state: State, change: Message | None) -> None:
        """Make `state` the newest."""
        self.seq += 1
        self._state, self._whole = state, None
        if change is None:
            self._recent.clear()
        else:
            self._recent.append(change)

    def tell_trouble(self, sentence: str) -> None:
        """There are no figures, and this is why. What comes next is whole: nobody has a base for a change."""
        self.seq += 1
        self._state = None
        self._recent.clear()
        self._whole = Message({"view": self.name, "seq": self.seq, "trouble": sentence})

    def missing(self, seen: int, *, deflate: bool) -> list[bytes]:
        """The frames that lead from frame `seen` to the newest."""
        behind = self.seq - seen
        if seen > 0 and behind <= len(self._recent):
            if behind == 1:
                return [self._recent[-1].frame(deflate=deflate)]
            frames = [self._recent[place].frame(deflate=deflate) for place in range(-behind, 0)]
            if sum(map(len, frames)) <= CATCH_UP_BYTES:
                return frames
        return [self.whole().frame(deflate=deflate)]

    def whole(self) -> Message:
        """The newest frame for somebody who has none; encoded when first asked for."""
        if self._whole is None:
            if self._state is None:
                raise LookupError(f"nothing has been told of {self.name} yet")
            content = {"view": self.name, "seq": self.seq, "whole": True, "at": self._state.at}
            self._whole = Message(content | self._state.whole())
        return self._whole

    async def hand_out(self) -> None:
        """Bring every seat that has room to the newest frame."""
        skipped = 0
        for place, seat in enumerate(list(self.seats), start=1):
            if seat.socket.is_full:
                skipped += 1
            elif seat.seen != self.seq:
                seat.catch_up()
            if place % SOCKETS_PER_TURN == 0:
                await asyncio.sleep(0)
        self.metrics.skipped.inc(skipped)


class MappingState:
    """A state of named parts, each sent again when it has changed: `{group: {name: value}}`."""

    __slots__ = ("at", "groups")

    def __init__(self, at: str, **groups: dict[str, Any]) -> None:
        self.at = at
        self.groups = groups

    def whole(self) -> dict[str, Any]:
        """Every group."""
        return self.groups

    def change(self, before: "MappingState") -> dict[str, Any]:
        """Groups with the parts that are new or different; None for a part that is gone."""
        found = {}
        for group, parts in self.groups.items():
            earlier = before.groups.get(group, {})
            changed = {name: value for name, value in parts.items() if name not in earlier or earlier[name] != value}
            changed |= _gone(earlier, parts)
            if changed:
                found[group] = changed
        return found


def _gone(earlier: Iterable[str], now: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(set(earlier) - set(now))
