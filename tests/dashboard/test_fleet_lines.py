"""What a page makes of the fleet's frames is the fleet."""

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.fleet import Fleet, Line, Mark, mark_of, operation_words
from heartbeat.rules.liveness import Liveness
from teleop.rules.reading import read_operation
from tests.dashboard.following import FollowedFleet

lines = st.lists(
    st.builds(
        Line,
        id=st.text(max_size=3),
        kind=st.sampled_from(["lekiwi", "xle"]),
        site=st.sampled_from(["", "B"]),
        bucket=st.none() | st.integers(0, 9999),
        every=st.just(30.0),
        mark=st.sampled_from(Mark).map(str),
        liveness=st.sampled_from(Liveness).map(str),
        silent_since=st.none() | st.integers(0, 5),
        owner=st.sampled_from(["new", "legacy", ""]),
        status=st.sampled_from(["idle", "failed"]),
        operation=st.just(""),
        version=st.just("2.7"),
        battery=st.none() | st.integers(0, 100),
    ),
    max_size=12,
)


def sent(content):
    return json.loads(msgspec.json.encode(content))


@settings(max_examples=50)
@given(st.lists(lines, min_size=1, max_size=4))
def test_a_page_that_follows_every_frame_has_the_fleet(moments):
    page, before = FollowedFleet(), None

    for moment in moments:
        fleet = Fleet("at", tuple(moment))
        change = fleet.change(before) if before else None
        page.take(sent(fleet.whole() if change is None else change))
        before = fleet

        assert page.lines == [line._asdict() for line in moment]
        assert page.summary == fleet.summary


def test_a_robot_that_has_left_cannot_be_told_as_a_change():
    line = Line("a", "xle", "", 1, 30.0, "online", "online", None, "new", "idle", "", "1", None)

    assert Fleet("at", (line,)).change(Fleet("at", (line, line))) is None


def test_of_10_000_robots_with_100_changed_a_frame_has_less_than_2_kb():
    robots = [
        Line(f"Lekiwi_{n:08X}", "lekiwi", "B", n, 30.0, "online", "online", None, "new", "idle", "", "2.7", n % 100)
        for n in range(10_000)
    ]
    after = list(robots)
    for place in range(7, 10_000, 100):
        after[place] = robots[place]._replace(status="updating", battery=(place * 7) % 100)

    change = Fleet("at", tuple(after)).change(Fleet("at", tuple(robots)))

    assert len(msgspec.json.encode(change)) < 2_000


def test_a_fleet_that_stays_as_it_is_has_nothing_to_tell():
    line = Line("a", "xle", "", 1, 30.0, "online", "online", None, "new", "idle", "", "1", None)

    assert Fleet("later", (line,)).change(Fleet("at", (line,))) == {}


def test_a_cell_shows_the_worst_that_is_true_of_a_robot():
    worst = [
        (Liveness.NEVER, "failed", True, Mark.NEVER),
        (Liveness.OFFLINE, "failed", True, Mark.SILENT),
        (Liveness.LATE, "failed", True, Mark.FAILED),
        (Liveness.LATE, "idle", True, Mark.LATE),
        (Liveness.ONLINE, "idle", True, Mark.DRIVEN),
        (Liveness.ONLINE, "idle", None, Mark.ONLINE),
    ]

    assert [mark_of(alive, status, operated) for alive, status, operated, _ in worst] == [mark for *_, mark in worst]


def test_a_running_service_is_never_called_driven():
    assert operation_words(read_operation({"services": {"teleop": "active"}})) == "host up, driver unknown"
    assert operation_words(read_operation(None, {"teleop": {"command_age_ms": 36}})) == "driven"
    assert operation_words(read_operation("offline")) == ""
