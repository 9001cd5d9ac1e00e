"""The decisions of a robot's client, without a socket, a thread or a clock: every driver runs these.

The driver asks `next` what to do, does it, says what came of it, and asks again. In order of preference a heartbeat
goes over the WebSocket, by HTTP to v2, by the legacy call. It stays in the buffer until somebody acknowledged it.
"""

import json
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lekiwi_heartbeat import words
from lekiwi_heartbeat.actions import (
    Acknowledged,
    Action,
    Answer,
    Beat,
    Changed,
    Drop,
    Dropped,
    Event,
    Open,
    Post,
    Refused,
    Route,
    Send,
    Wait,
)
from lekiwi_heartbeat.answers import errors_in, results_of, seconds_in, taken_by_legacy
from lekiwi_heartbeat.backlog import Backlog, newest_that_fit
from lekiwi_heartbeat.commands import Commands
from lekiwi_heartbeat.limits import Limits
from lekiwi_heartbeat.operation import Signals
from lekiwi_heartbeat.retrying import Retry

#: WebSocket close code: the token is no longer good
TOKEN_REVOKED = 4401
#: a refused token does not become good within seconds, nor does a missing path appear
TOKEN_REFUSED_SECONDS = 30.0
HOPELESS_SECONDS = {401: TOKEN_REFUSED_SECONDS, 403: TOKEN_REFUSED_SECONDS, 404: 10.0, 405: 10.0}
#: what an open socket has to live for before its next failure counts as the first again
PROVEN_AFTER_SECONDS = 10.0


class Core:
    """One run of one robot's program. All times are monotonic seconds."""

    def __init__(
        self, robot_id: str, boot_id: str, *, limits: Limits | None = None, chance: random.Random | None = None
    ) -> None:
        self.robot_id = robot_id
        self.boot_id = boot_id
        self.limits = limits or Limits()
        self.chance = chance or random.Random()
        self.counts: Counter[str] = Counter()
        self.commands = Commands()
        self._signals = Signals(boot_id)
        self.connection: int | None = None
        self._connections = 0
        self._backlog = Backlog(self.limits.most_buffered)
        self._events: list[Event] = []
        self._v2 = Retry(self.chance, 1.0, 60.0)
        self._socket = Retry(self.chance, 1.0, 120.0)
        self._legacy = Retry(self.chance, 1.0, 15.0)
        #: v2 failed and has not answered since: it is asked by HTTP before a socket is trusted
        self._doubted = False
        self._opened_at = self._heard_at = 0.0
        self._hold_until = self._batch_at = float("-inf")
        self._most_in_batch = self._batch_limit = self.limits.most_in_batch
        self._way: Route | None = None

    # --- what the robot says ---

    def add(self, fields: dict[str, Any], now: float, sent_at: str) -> Beat:
        """Take a heartbeat with these v2 fields. Raises TypeError or ValueError for what JSON cannot say."""
        sequence = self._backlog.last_sequence + 1
        identity = {"robot_id": self.robot_id, "boot_id": self.boot_id, "sequence": sequence, "sent_at": sent_at}
        beat = Beat(sequence, words.encode({**fields, **identity}), now)
        self.counts["made"] += 1
        if dropped := self._backlog.add(beat):
            self._count("dropped", Dropped(dropped))
        return beat

    def signal(self, said: Mapping[str, Any], now: float) -> None:
        """How operation stands, between heartbeats: sent when something happened, and while somebody drives.

        Best effort: it is not kept until somebody acknowledged it, and the legacy call cannot say it.
        """
        self._signals.say(said, now)

    def take_events(self) -> list[Event]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def waiting(self) -> int:
        """Heartbeats that nobody has acknowledged yet."""
        return len(self._backlog)

    # --- what to do ---

    def next(self, now: float) -> Action:
        """What to do now. Call again after each action, frame and heartbeat."""
        if now >= self._mute_at():
            return self._drop(now)
        if now < self._hold_until:
            return Wait(self._until(self._hold_until, now))
        if not self._v2.ready(now):
            return self._by_legacy(now)
        if self.connection is not None:
            return self._by_socket(now)
        return self._without_socket(now)

    def _by_socket(self, now: float) -> Action:
        assert self.connection is not None
        fresh, newest = self._backlog.fresh(), self._backlog.newest
        if len(fresh) > self.limits.most_by_socket:
            # The newest says that the robot lives; what gathered meanwhile follows in batches.
            if newest is None and now >= self._batch_at:
                return self._batch(fresh)
            fresh = [newest] if newest else []
        results = self.commands.take_results()
        signals_at = self._signals.due_at(now)
        signals = (self._take_signals(now, type="signals"),) if signals_at <= now else ()
        if not fresh and not results and not signals:
            batch_at = self._batch_at if self._backlog.fresh() else float("inf")
            return Wait(self._until(min(batch_at, signals_at), now))
        self._backlog.sent(fresh, now)
        return Send(self.connection, (*(beat.body for beat in fresh), *signals, *results))

    def _without_socket(self, now: float) -> Action:
        if not self._doubted and self._socket.ready(now):
            self._connections += 1
            return Open(self._connections)
        # Who did not answer is asked with a heartbeat first.
        signals_at = float("inf") if self._doubted else self._signals.due_at(now)
        if signals_at <= now:
            return Post(Route.HTTP, words.V2_SIGNALS, self._take_signals(now), (), self.limits.v2_patience)
        if not self._backlog:
            return Wait(None if self._doubted else min(self._socket.at, signals_at))
        fresh, newest = self._backlog.fresh(), self._backlog.newest
        if newest is None and now < self._batch_at:
            return Wait(min(self._batch_at, signals_at))
        return self._batch([newest] if newest and self._doubted else fresh)

    def _take_signals(self, now: float, **head: Any) -> bytes:
        self.counts["signals"] += 1
        return self._signals.take(now, **head)

    def _by_legacy(self, now: float) -> Action:
        """Legacy has no history: only the newest heartbeat makes sense to it, the others wait for v2."""
        newest = self._backlog.newest
        if newest is None:
            return Wait(self._until(self._v2.at if self._backlog else float("inf"), now))
        if not self._legacy.ready(now):
            return Wait(self._until(min(self._legacy.at, self._v2.at), now))
        body = words.encode(words.in_legacys_words(json.loads(newest.body)))
        return Post(Route.LEGACY, words.LEGACY, body, (newest,), self.limits.legacy_patience)

    def _batch(self, beats: list[Beat]) -> Post:
        chosen = newest_that_fit(beats, self._batch_limit, self.limits.most_batch_bytes)
        if len(chosen) == 1:
            return Post(Route.HTTP, words.V2_ONE, chosen[0].body, chosen, self.limits.v2_patience)
        body = b"[" + b",".join(beat.body for beat in chosen) + b"]"
        return Post(Route.HTTP, words.V2_MANY, body, chosen, self.limits.v2_patience)

    def _mute_at(self) -> float:
        """When the socket has acknowledged nothing for too long; never while nothing is under way."""
        oldest, within = self._backlog.oldest_sent_at, self.limits.acknowledged_within
        if oldest is None or self.connection is None:
            return float("inf")
        return min(max(oldest, self._heard_at) + within, oldest + 5 * within)

    def _drop(self, now: float) -> Drop:
        assert self.connection is not None
        number = self.connection
        self._lose_socket(now)
        # Whoever answers a handshake and then acknowledges nothing is asked by HTTP first.
        self._doubted = True
        self._change(f"the socket acknowledged nothing for {self.limits.acknowledged_within:g} s")
        return Drop(number, "nothing acknowledged")

    def _until(self, moment: float, now: float) -> float | None:
        moment = min(moment, self._mute_at())
        return None if moment == float("inf") else max(moment, now)

    # --- what came of it ---

    def opened(self, connection: int, now: float) -> None:
        """The handshake succeeded."""
        if connection == self._connections:
            self.connection, self._opened_at, self._heard_at = connection, now, now
            self._backlog.take_back()

    def not_opened(self, connection: int, answer: Answer | None, now: float) -> None:
        """The handshake failed: with an answer other than 101, or (None) without one."""
        if connection != self._connections:
            return
        # Servers say 403 to any handshake they do not want; HTTP tells whether it is the token.
        self._socket.failed(now, HOPELESS_SECONDS.get(answer.status, 0.0) if answer else 0.0)
        if answer is not None and answer.status in (429, 503):
            self._v2_failed(now, f"v2 is refused ({answer.status})", answer.retry_after_seconds or 0.0)

    def closed(self, connection: int, now: float, code: int | None = None) -> None:
        """A connection ended. Only the present one's end means anything."""
        if connection != self.connection:
            return
        self._lose_socket(now)
        if code == TOKEN_REVOKED:
            self._v2_failed(now, "the token was revoked", TOKEN_REFUSED_SECONDS)

    def heard(self, connection: int, text: bytes | str, now: float) -> None:
        """A text frame arrived. What an older connection still says counts: an acknowledgement is one."""
        try:
            frame = json.loads(text)
        except ValueError:
            return
        match frame:
            case {"type": "ack", "boot_id": self.boot_id, "sequences": list(sequences)}:
                self._works(now, socket=connection)
                for sequence in sequences:
                    self._acknowledge(sequence, Route.SOCKET)
            case {"type": "refused", "sequence": int(sequence)}:
                self._works(now, socket=connection)
                self._refuse(sequence, frame.get("errors") or [])
            case {"type": "retry", "sequences": list(sequences)}:
                self._heard_at = now
                self._backlog.take_back(sequences)
                self._v2_failed(now, "v2 cannot store now", seconds_in(frame.get("retry_after_s")))
            case {"type": "command", "id": str(number), "name": str(name)}:
                if command := self.commands.arrived(number, name, frame.get("arguments")):
                    self._events.append(command)
            case _:
                pass  # hello, and what a newer server may say

    def posted(self, post: Post, answer: Answer | None, now: float) -> None:
        """An HTTP request ended: with an answer, or (None) without one in time."""
        if post.route is Route.LEGACY:
            self._posted_to_legacy(post, answer, now)
            return
        if not post.beats:
            self._posted_signals(answer, now)
            return
        self._batch_at = now + self.limits.between_batches * self.chance.uniform(0.5, 1.0)
        results = results_of(post, answer)
        if results is not None:
            self._works(now)
            self._batch_limit = min(self._most_in_batch, self._batch_limit * 2)
            for beat, result in zip(post.beats, results, strict=True):
                if result.get("status") == "refused":
                    self._refuse(beat.sequence, result.get("errors") or [])
                else:
                    self._acknowledge(beat.sequence, Route.HTTP)
        elif answer is not None and answer.status in (400, 413, 422):
            self._works(now)
            if len(post.beats) == 1:
                self._refuse(post.beats[0].sequence, errors_in(answer))
            else:  # one of them is poison: the smaller the batches, the fewer it takes along
                self._batch_limit, self._batch_at = max(1, len(post.beats) // 8), now
        elif answer is not None and answer.status in (404, 405) and len(post.beats) > 1:
            self._most_in_batch = self._batch_limit = 1  # a system without batches
        else:
            if len(post.beats) > 1:  # too much for the link, or one of them breaks the server
                self._batch_limit = len(post.beats) // 2
            self._v2_answered_badly(answer, now)

    def _posted_signals(self, answer: Answer | None, now: float) -> None:
        if answer is not None and answer.status == 202:
            self._works(now)
            return
        self.counts["signals_failed"] += 1
        self._signals.failed(now)
        # Any other refusal is theirs alone: signals are stored apart, and heartbeats find out themselves.
        if answer is None or answer.status == 429:
            self._v2_answered_badly(answer, now)

    def _v2_answered_badly(self, answer: Answer | None, now: float) -> None:
        if answer is None:
            self._v2_failed(now, "v2 does not answer")
        elif answer.status == 429:
            self._hold_until = now + max(1.0, answer.retry_after_seconds or 0.0) * self.chance.uniform(1.0, 1.25)
        else:
            least = answer.retry_after_seconds or HOPELESS_SECONDS.get(answer.status, 0.0)
            self._v2_failed(now, f"v2 answers {answer.status}", least)

    def _posted_to_legacy(self, post: Post, answer: Answer | None, now: float) -> None:
        if taken_by_legacy(answer):
            self._legacy.succeeded()
            self._acknowledge(post.beats[0].sequence, Route.LEGACY)
            return
        self.counts["legacy_failed"] += 1
        self._legacy.failed(now, (answer.retry_after_seconds if answer else None) or 0.0)

    # --- bookkeeping ---

    def _works(self, now: float, socket: int | None = None) -> None:
        self._doubted = False
        self._v2.succeeded()
        if socket is not None and socket == self.connection:
            self._heard_at = now
            if now - self._opened_at >= PROVEN_AFTER_SECONDS:
                self._socket.succeeded()

    def _v2_failed(self, now: float, why: str, at_least_seconds: float = 0.0) -> None:
        self.counts["v2_failed"] += 1
        self._v2.failed(now, at_least_seconds)
        self._doubted = True
        self._change(why)

    def _lose_socket(self, now: float) -> None:
        self.connection = None
        self._backlog.take_back()
        self._socket.failed(now)
        self.counts["sockets_lost"] += 1

    def _acknowledge(self, sequence: object, route: Route) -> None:
        beat = self._backlog.settle(sequence)
        if beat is None:
            return
        if self._way is not route and not (self._way is Route.SOCKET and route is Route.HTTP):
            self._change(f"heartbeats go by {route.value}")
            self._way = route
        self._count(f"acknowledged_{route.value}", Acknowledged(beat, route))

    def _refuse(self, sequence: int, errors: list[Any]) -> None:
        if beat := self._backlog.settle(sequence):
            self._count("refused", Refused(beat, errors))

    def _count(self, name: str, event: Event) -> None:
        self.counts[name] += 1
        self._events.append(event)

    def _change(self, sentence: str) -> None:
        self._events.append(Changed(sentence))
