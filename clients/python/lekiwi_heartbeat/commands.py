"""Commands from the system: each is run once, its result is told until a socket took it."""

from collections import OrderedDict, deque
from typing import Any

from lekiwi_heartbeat import words
from lekiwi_heartbeat.actions import Command

MOST_REMEMBERED = 64


class Commands:
    """What was asked, and what is still to be told about it."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, bytes | None] = OrderedDict()
        self._results: deque[bytes] = deque(maxlen=MOST_REMEMBERED)

    def arrived(self, number: str, name: str, arguments: Any) -> Command | None:
        """The command to run, or None for one that came before; its result is then told again."""
        if number in self._known:
            if result := self._known[number]:
                self._results.append(result)
            return None
        self._known[number] = None
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        return Command(number, name, arguments)

    def done(self, number: str, ok: bool, detail: Any) -> None:
        """The robot ran the command, or could not. `detail` is a text, or what JSON can say, told as its text."""
        text = detail if isinstance(detail, str) else words.encode(detail).decode()
        result = words.encode({"type": "command_result", "id": number, "ok": ok, "detail": text})
        if number in self._known:
            self._known[number] = result
        self._results.append(result)

    def take_results(self) -> tuple[bytes, ...]:
        """Frames to send now."""
        results = []
        while self._results:  # another thread may append meanwhile
            results.append(self._results.popleft())
        return tuple(results)
