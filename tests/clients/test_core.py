"""The client's decisions, under whatever the network and the systems do. No socket, no clock."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lekiwi_heartbeat import words
from lekiwi_heartbeat.actions import Answer, Beat, Drop, Open, Post, Route, Send, Wait
from lekiwi_heartbeat.backlog import newest_that_fit
from lekiwi_heartbeat.core import Core
from lekiwi_heartbeat.limits import Limits
from lekiwi_heartbeat.retrying import Retry

UPDATED = Answer(200, {"status": "updated"})
REFUSED = Answer(503, {"detail": "v2 is refused"}, retry_after_seconds=30.0)
OK = {"status": "accepted"}
TAKEN = Answer(202, {"status": "accepted", "signals": 1})


@dataclass
class World:
    """A robot's surroundings with a clock of their own: what works, and what was asked of it."""

    core: Core = field(default_factory=lambda: Core("r", "boot", chance=random.Random(1)))
    now: float = 100.0
    socket: str = "ok"
    v2: str = "ok"
    legacy: str = "ok"
    attempts: list[tuple[float, str]] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)
    heard_by_legacy: list[int] = field(default_factory=list)
    signals: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    signals_answer: Answer = TAKEN
    unanswered: list[tuple[int, bytes]] = field(default_factory=list)

    def say(self) -> Beat:
        return self.core.add({}, self.now, "2026-11-24T09:00:00+00:00")

    def run(self, until: float) -> None:
        """Let the driver work until this moment."""
        for _ in range(10_000):
            action = self.core.next(self.now)
            if isinstance(action, Wait):
                if action.until is None or action.until > until:
                    self.now = max(self.now, until)
                    return
                assert action.until >= self.now
                self.now = max(self.now, action.until)
            else:
                self._do(action)
        raise AssertionError("the driver never rests")

    def _do(self, action: Open | Send | Drop | Post) -> None:
        match action:
            case Open(connection):
                self.attempts.append((self.now, "open"))
                answer = {"ok": None, "mute": None, "refused": REFUSED, "404": Answer(404)}.get(self.socket)
                if self.socket in ("ok", "mute"):
                    self.core.opened(connection, self.now)
                else:
                    self.core.not_opened(connection, answer, self.now)
            case Send(connection, frames):
                for frame in frames:
                    if self.socket == "mute":
                        self.unanswered.append((connection, frame))
                    else:
                        self.acknowledge(connection, frame)
            case Post(_, words.V2_SIGNALS, body, _, _):
                self.signals += [(self.now, each) for each in json.loads(body)["signals"]]
                self.core.posted(action, self.signals_answer, self.now)
            case Post(route, _, _, beats, patience):
                self.attempts.append((self.now, route.value))
                self.core.posted(action, self._answer(route, beats, patience), self.now)

    def acknowledge(self, connection: int, frame: bytes) -> None:
        said = json.loads(frame)
        if said.get("type") == "signals":
            self.signals += [(self.now, each) for each in said["signals"]]
            return
        sequence = said["sequence"]
        self.stored.append(sequence)
        told = {"type": "ack", "boot_id": "boot", "sequences": [sequence]}
        self.core.heard(connection, json.dumps(told), self.now)

    def _answer(self, route: Route, beats: tuple[Beat, ...], patience: float) -> Answer | None:
        state = self.legacy if route is Route.LEGACY else self.v2
        numbers = [beat.sequence for beat in beats]
        if state == "gone":
            self.now += patience
            return None
        if state == "lost":  # stored, but the answer never came
            self.stored += numbers
            self.now += patience
            return None
        if state == "refused":
            return REFUSED
        if route is Route.LEGACY:
            self.heard_by_legacy += numbers
            return UPDATED
        self.stored += numbers
        return Answer(200, OK if len(beats) == 1 else {"results": [OK] * len(beats)})


def test_refused_v2_is_left_alone_for_as_long_as_it_asked() -> None:
    world = World(socket="refused", v2="refused")
    for _ in range(100):
        world.say()
        world.run(world.now + 0.25)

    assert len(world.heard_by_legacy) == 100
    assert [what for _, what in world.attempts if what != "legacy"] == ["open"]
    world.run(world.now + 13)
    world.socket = world.v2 = "ok"
    world.say()
    world.run(world.now + 5)
    assert world.stored == [101]


def test_the_same_heartbeat_takes_every_way_at_once_before_it_waits() -> None:
    world = World(socket="gone", v2="gone")
    world.say()
    began = world.now
    world.run(world.now + 3)

    assert [what for _, what in world.attempts] == ["open", "http", "legacy"]
    assert world.heard_by_legacy == [1]
    assert world.attempts[-1][0] - began <= Limits().v2_patience


def test_an_old_connections_late_close_changes_nothing() -> None:
    world = World()
    world.say()
    world.run(world.now + 1)
    old = world.core.connection
    assert old is not None
    world.core.closed(old, world.now, 1012)
    world.run(world.now + 5)
    new = world.core.connection
    assert new not in (None, old)
    attempts = len(world.attempts)

    world.core.closed(old, world.now, 4401)
    world.core.not_opened(old, REFUSED, world.now)
    world.core.opened(old, world.now)

    assert world.core.connection == new
    world.say()
    world.run(world.now + 1)
    assert len(world.attempts) == attempts
    assert world.stored == [1, 2]


def test_what_an_old_connection_still_acknowledges_is_not_sent_again() -> None:
    world = World(socket="mute", v2="refused", legacy="gone")
    world.say()
    world.run(world.now + 2.5)
    connection, frame = world.unanswered[0]
    assert world.core.connection != connection

    world.acknowledge(connection, frame)

    assert world.core.waiting == 0


def test_a_revoked_token_is_not_tried_again_within_seconds() -> None:
    world = World()
    world.say()
    world.run(world.now + 1)
    assert world.core.connection is not None
    world.core.closed(world.core.connection, world.now, 4401)
    attempts = len(world.attempts)
    for _ in range(20):
        world.say()
        world.run(world.now + 1)

    assert {what for _, what in world.attempts[attempts:]} == {"legacy"}


def test_history_is_never_told_to_legacy() -> None:
    world = World(socket="gone", v2="gone", legacy="gone")
    for _ in range(20):
        world.say()
        world.run(world.now + 1)
    world.legacy = "ok"
    world.run(world.now + 60)

    assert world.heard_by_legacy == [20]
    assert world.core.waiting == 19


def test_back_again_the_newest_is_heard_first_and_history_in_its_order() -> None:
    for sockets in ("ok", "404"):
        world = World(socket="gone", v2="gone", legacy="gone")
        for _ in range(30):
            world.say()
            world.run(world.now + 1)
        world.socket, world.v2 = sockets, "ok"
        world.run(world.now + 120)

        assert world.stored == [30, *range(1, 30)]


def test_a_login_page_acknowledges_nothing() -> None:
    core = Core("r", "boot")
    core.add({}, 0.0, "2026-11-24T09:00:00+00:00")
    opened = core.next(0.0)
    assert isinstance(opened, Open)
    core.not_opened(opened.connection, Answer(200, None), 0.0)
    for route in (Route.HTTP, Route.LEGACY):
        post = core.next(0.0)
        assert isinstance(post, Post)
        assert post.route is route
        core.posted(post, Answer(200, {"welcome": "to the hotel"}), 0.0)

    assert core.waiting == 1


def test_rate_limited_it_rests() -> None:
    core = Core("r", "boot")
    core.add({}, 0.0, "2026-11-24T09:00:00+00:00")
    opened = core.next(0.0)
    assert isinstance(opened, Open)
    core.not_opened(opened.connection, None, 0.0)
    post = core.next(0.0)
    assert isinstance(post, Post)
    core.posted(post, Answer(429, None, 4.0), 0.0)

    wait = core.next(0.0)

    assert isinstance(wait, Wait)
    assert wait.until is not None
    assert 4.0 <= wait.until <= 5.0
    assert not isinstance(core.next(5.0), Wait)


@given(st.randoms(use_true_random=False), st.integers(1, 300))
def test_while_everything_fails_attempts_are_few_and_spread(chance: random.Random, beats: int) -> None:
    world = World(core=Core("r", "boot", chance=chance), socket="refused", v2="refused", legacy="refused")
    for _ in range(beats):
        world.say()
        world.run(world.now + 1)

    # Retry-After was 30 s: v2 and legacy once each in that time, however often the robot speaks.
    assert len(world.attempts) <= 3 + 2 * (beats // 30 + 1)


_STATES = st.sampled_from(["ok", "gone", "refused", "lost"])
_SOCKETS = st.sampled_from(["ok", "mute", "gone", "refused", "404"])


@settings(max_examples=150)
@given(
    st.lists(st.tuples(_SOCKETS, _STATES, st.sampled_from(["ok", "gone", "refused"]), st.integers(0, 12)), max_size=12),
    st.integers(0, 2**32),
)
def test_whatever_happens_every_heartbeat_is_heard_in_the_end(
    weather: list[tuple[str, str, str, int]], seed: int
) -> None:
    world = World(core=Core("r", "boot", chance=random.Random(seed)))
    for world.socket, world.v2, world.legacy, beats in weather:
        for _ in range(beats):
            world.say()
            world.run(world.now + 0.7)
        if world.core.connection is not None and world.socket == "gone":
            world.core.closed(world.core.connection, world.now)
    world.socket = world.v2 = world.legacy = "ok"
    for _ in range(3):
        world.say()
        world.run(world.now + 120)

    assert world.core.waiting == 0
    said = sum(beats for *_, beats in weather) + 3
    assert set(world.stored) | set(world.heard_by_legacy) == set(range(1, said + 1))
    assert world.stored[-1] == said


@given(st.lists(st.integers(1, 50), min_size=1), st.integers(1, 20), st.integers(1, 200))
def test_a_batch_holds_the_newest_that_fit(sizes: list[int], most: int, most_bytes: int) -> None:
    beats = [Beat(number, b"x" * size, 0.0) for number, size in enumerate(sizes)]

    chosen = newest_that_fit(beats, most, most_bytes)

    assert 1 <= len(chosen) <= most
    assert list(chosen) == beats[-len(chosen) :]
    assert len(chosen) == 1 or sum(len(beat.body) + 1 for beat in chosen) <= most_bytes


@given(st.floats(0, 100), st.integers(0, 50), st.randoms(use_true_random=False))
def test_what_the_server_asked_for_is_the_least_and_nobody_waits_for_ever(
    least: float, failures: int, chance: random.Random
) -> None:
    retry = Retry(chance, 1.0, 60.0)
    for _ in range(failures + 1):
        retry.failed(1000.0, least)

    assert not retry.ready(1000.0 + least - 0.001) or least < 0.001
    assert retry.at <= 1000.0 + max(60.0, least * 1.25)


DRIVEN = {"host_up": True, "command_age_ms": 20.0, "command_rate_hz": 30.0, "observers": 1}


def operated(world: World, seconds: float, **said: Any) -> None:
    """A loop of 50 Hz that tells of operation for so long."""
    until = world.now + seconds
    while world.now < until - 1e-9:
        world.core.signal({**DRIVEN, **said, "command_rate_hz": world.now % 7}, world.now)
        world.run(world.now + 0.02)


@pytest.mark.parametrize("socket", ["ok", "404"])
def test_a_signal_goes_out_when_something_happened_and_a_few_a_second_while_somebody_drives(socket: str) -> None:
    world = World(socket=socket)
    world.say()
    world.run(100.1)

    operated(world, 3, command_age_ms=None, observers=0)
    assert len(world.signals) == 1
    operated(world, 3)
    assert 11 <= len(world.signals) - 1 <= 13
    seen = len(world.signals)
    operated(world, 3, command_age_ms=900.0)
    (_, stopped) = world.signals[-1]
    assert len(world.signals) == seen + 1
    assert (stopped["command_age_ms"], stopped["measured_ms"]) == (900.0, round(world.signals[-1][0] * 1000, 1))
    assert world.stored == [1]


def test_whatever_changes_no_more_than_ten_signals_a_second_leave_and_the_last_word_is_one_of_them() -> None:
    world = World()
    world.say()
    world.run(100.1)

    for number in range(100):
        world.core.signal({"observers": number}, world.now)
        world.run(world.now + 0.01)
    world.run(world.now + 0.2)

    assert len(world.signals) <= 12
    assert world.signals[-1][1]["observers"] == 99


def test_signals_that_are_refused_rest_and_change_no_way_of_heartbeats() -> None:
    world = World(socket="404", signals_answer=Answer(503, {"detail": "cannot be stored"}))
    for _ in range(10):
        world.say()
        operated(world, 0.5)

    assert 3 <= len(world.signals) <= 6
    assert len(world.stored) == 10
    assert not world.heard_by_legacy


def test_a_signal_that_nobody_could_hear_is_no_news_when_somebody_can() -> None:
    world = World(socket="refused", v2="refused")
    world.say()
    world.run(100.5)
    world.core.signal(DRIVEN, world.now)
    world.run(world.now + 60)
    world.socket = world.v2 = "ok"
    world.say()
    world.run(world.now + 60)

    assert world.core.connection is not None
    assert world.signals == []
