"""The heartbeats that nobody has acknowledged yet, oldest first."""

from lekiwi_heartbeat.actions import Beat


class Backlog:
    """At most `most` heartbeats; `in_flight` says when each of them that is under way on the socket was sent."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.last_sequence = 0
        self._beats: dict[int, Beat] = {}
        self._in_flight: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._beats)

    def add(self, beat: Beat) -> Beat | None:
        """Keep a new heartbeat; returns the oldest when it had to go."""
        dropped = self.settle(next(iter(self._beats))) if len(self._beats) >= self.most else None
        self._beats[beat.sequence] = beat
        self.last_sequence = beat.sequence
        return dropped

    def settle(self, sequence: object) -> Beat | None:
        """Forget a heartbeat for good and return it; None if it is not here (any more)."""
        if not isinstance(sequence, int):
            return None
        self._in_flight.pop(sequence, None)
        return self._beats.pop(sequence, None)

    @property
    def newest(self) -> Beat | None:
        """The robot's latest heartbeat, if it still waits and is not under way."""
        return None if self.last_sequence in self._in_flight else self._beats.get(self.last_sequence)

    def fresh(self) -> list[Beat]:
        """Those that are not under way."""
        return [beat for number, beat in self._beats.items() if number not in self._in_flight]

    def sent(self, beats: list[Beat], now: float) -> None:
        """These are under way on the socket."""
        for beat in beats:
            self._in_flight[beat.sequence] = now

    def take_back(self, sequences: list[object] | None = None) -> None:
        """These (None: all) are no longer under way, and wait to be sent again."""
        if sequences is None:
            self._in_flight.clear()
            return
        for sequence in sequences:
            if isinstance(sequence, int):
                self._in_flight.pop(sequence, None)

    @property
    def oldest_sent_at(self) -> float | None:
        """When the first of those under way was sent."""
        return next(iter(self._in_flight.values()), None)


def newest_that_fit(beats: list[Beat], most: int, most_bytes: int) -> tuple[Beat, ...]:
    """The newest of `beats` that one batch can hold, in their order; at least one."""
    size, chosen = 0, 0
    for beat in reversed(beats[-most:]):
        size += len(beat.body) + 1
        if chosen and size > most_bytes:
            break
        chosen += 1
    return tuple(beats[len(beats) - chosen :])
