"""The proxy's counters tell the truth about each system while failover hides its failures from robots."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.drivers.envoy import Proxy
from migration.drivers.statistics import Attempts, Counters, SystemCounters, difference
from migration.rules.latency import INFINITY, Latency
from migration.rules.routes import RoutePlan
from migration.rules.split import Side
from tests.migration.door import Door, wait_for

ROBOTS = [f"robot-{number}" for number in range(60)]


@pytest.fixture(scope="module")
def one_door(tmp_path_factory) -> Iterator[Door]:
    with Door(tmp_path_factory.mktemp("door")) as door:
        yield door


@pytest.fixture
def door(one_door) -> Door:
    one_door.fresh()
    one_door.route(RoutePlan.split(50))
    return one_door


def counters(door: Door) -> Counters:
    return Proxy("a", door.envoy.admin_url, door.envoy.robots_door_url).counters()


def told(system, *, status, shadow):
    """How often a stub says that it answered with a status."""
    return sum(each["status"] == status and ("x-shadow" in each["headers"]) == shadow for each in system.heard())


def test_both_systems_are_counted_in_both_roles(door):
    plan = door.file.read().plan
    mine = sum(plan.owner_of(robot).side is Side.NEW for robot in ROBOTS)
    door.beats(ROBOTS)

    seen = wait_for(lambda: (c := counters(door)) and c.new.shadow_latency.count == 60 - mine and c)

    assert (seen.new.owner, seen.legacy.owner) == (Attempts(mine), Attempts(60 - mine))
    assert (seen.new.shadow, seen.legacy.shadow) == (Attempts(60 - mine), Attempts(mine))
    assert seen.mirrored_to == {"new": 60 - mine, "legacy": mine}
    assert (seen.owned_by(Side.NEW), seen.owned_by(Side.LEGACY)) == (mine, 60 - mine)
    assert seen.calls == {("new", "new", "200"): mine, ("legacy", "legacy", "200"): 60 - mine}
    assert seen.new.owner_latency.count == mine
    assert seen.failovers == 0
    assert seen.ejected == {"new": 0, "legacy": 0}


@pytest.mark.parametrize(("sick", "well"), [("new", "legacy"), ("legacy", "new")])
@pytest.mark.parametrize("percent", [10, 50, 100])
def test_every_500_of_a_system_is_seen_though_no_robot_saw_one(door, sick, well, percent):
    door.route(RoutePlan.split(percent))
    system = getattr(door, sick)
    system.behave(status=500)

    copies = sum(door.file.read().plan.owner_of(robot).side != sick for robot in ROBOTS)
    answers = door.beats(ROBOTS, workers=20)

    def complete() -> Counters | None:
        """The counters, once they hold everything that the stub has told of."""
        seen = counters(door)
        owner, shadow = getattr(seen, sick).owner, getattr(seen, sick).shadow
        is_all = shadow.requests == copies and owner.errors == told(system, status=500, shadow=False)
        return seen if is_all else None

    seen = wait_for(complete)
    counted = getattr(seen, sick)
    assert {(answer.status, answer.system) for answer in answers.values()} == {(200, well)}
    assert counted.owner.errors == told(system, status=500, shadow=False)
    assert counted.shadow.errors == told(system, status=500, shadow=True)
    assert counted.owner.success == counted.shadow.success == 0
    assert getattr(seen, well).owner.error_share in (0, None)
    assert seen.failovers == seen.owned_by(Side(sick))


def test_a_system_that_is_ejected_is_shown_as_such(door):
    door.route(RoutePlan.split(100))
    door.new.behave(status=500)
    door.beats(ROBOTS)

    assert counters(door).ejected["new"] == 1
    assert counters(door).ejected["legacy"] == 0


def test_refusals_of_bad_heartbeats_are_no_failures(door):
    door.route(RoutePlan.split(100))
    door.new.behave(status=422)
    door.beats(ROBOTS)

    seen = counters(door)
    assert seen.new.owner == Attempts(60)
    assert seen.calls == {("new", "new", "422"): 60}


def test_a_stopped_system_is_seen_as_time_outs(door):
    door.new.freeze()
    answers = door.beats(ROBOTS, workers=len(ROBOTS))

    seen = counters(door)
    assert {(answer.status, answer.system) for answer in answers.values()} == {(200, "legacy")}
    assert seen.new.owner.timeouts == seen.new.owner.errors > 0
    assert seen.new.owner.error_share == 1
    assert seen.new.owner_latency.count == 0


def test_a_killed_system_is_seen_though_nothing_reached_it(door):
    door.new.kill()
    answers = door.beats(ROBOTS)

    seen = counters(door)
    assert {(answer.status, answer.system) for answer in answers.values()} == {(200, "legacy")}
    assert seen.new.owner.error_share == seen.new.shadow.error_share == 1
    assert seen.new.owner.errors >= 5  # what outlier detection takes to shift the traffic
    assert seen.new.shadow.errors == seen.mirrored_to["new"]
    assert seen.failovers == seen.owned_by(Side.NEW)


def test_failures_are_seen_where_nothing_may_fall_over(door):
    door.route(RoutePlan.preparation())
    door.legacy.behave(status=500)
    door.beats(ROBOTS)

    seen = counters(door)
    assert seen.legacy.owner == Attempts(errors=60)
    assert seen.mirrored_to == {"new": 0, "legacy": 0}


def test_operators_and_probes_are_not_counted_as_robots(door):
    door.call("GET", "/api/robots")
    door.call("GET", "/_door/side", x_robot_id="a")

    seen = counters(door)
    assert seen.calls == {}
    assert seen.legacy.owner == Attempts()


def test_copies_that_were_dropped_or_never_answered_are_failures_of_the_target(door):
    door.route(RoutePlan.shadowing())
    door.new.freeze()
    door.beats((f"robot-{number}" for number in range(1_300)), workers=16)

    seen = counters(door)
    assert seen.legacy.owner == Attempts(1_300)
    assert seen.new.shadow.dropped >= 200

    seen = wait_for(lambda: (c := counters(door)) and c.new.shadow.requests >= 1_300 and c)
    assert seen.new.shadow.failures == seen.mirrored_to["new"] == 1_300
    assert seen.new.shadow.timeouts == seen.new.shadow.errors


@pytest.mark.parametrize("side", [Side.NEW, Side.LEGACY])
def test_slowness_is_seen_in_both_roles(door, side):
    door.route(RoutePlan.split(100 if side is Side.NEW else 0, phase="test"))
    getattr(door, side).behave(delay_seconds=0.12)
    door.beats(ROBOTS, workers=20)
    door.route(RoutePlan.split(0 if side is Side.NEW else 100, phase="test"))
    door.beats(ROBOTS, workers=20)

    def settled():
        seen = counters(door).system(side)
        return seen if seen.shadow_latency.count == seen.owner_latency.count == 60 else None

    seen = wait_for(settled)
    for latency in (seen.owner_latency, seen.shadow_latency):
        assert latency.slow_share() == 1
        assert latency.quantile_milliseconds(0.5) > 100
    assert counters(door).system(Side.LEGACY if side is Side.NEW else Side.NEW).owner_latency.slow_share() < 0.5


def test_what_was_counted_between_two_looks_survives_a_restart_of_the_proxy(door):
    door.beats(ROBOTS)
    before = counters(door)
    door.beats(ROBOTS[:10])
    assert sum(difference(counters(door), before).calls.values()) == 10

    os.kill(door.envoy.pid, signal.SIGKILL)
    door.envoy.stop()
    door.envoy.start()
    door.beats(ROBOTS[:7])

    assert sum(difference(counters(door), before).calls.values()) == 7


def test_totals_are_plain_numbers_for_the_record(door):
    door.beats(ROBOTS)
    door.route(RoutePlan.split(100))

    totals = counters(door).as_totals()

    assert totals["owned.new"] + totals["owned.legacy"] == 60
    assert totals["new.owner"]["requests"] == totals["owned.new"]
    assert totals["mirror.to_new.primaries"] == totals["owned.legacy"]
    assert totals["failovers"] == 0


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 9))
def test_a_difference_is_what_was_added(before, added, uptime):
    earlier = Counters(new=SystemCounters(Attempts(before)), uptime_seconds=uptime)
    later = Counters(new=SystemCounters(Attempts(before + added, before)), uptime_seconds=uptime + 1)

    assert difference(later, earlier).new.owner == Attempts(added, before)


@given(st.lists(st.floats(0, 900), min_size=1, max_size=200))
def test_a_quantile_lies_in_the_bucket_of_the_real_one(times):
    edges = [1, 10, 50, 100, 500, 1000, INFINITY]
    latency = Latency({edge: sum(time <= edge for time in times) for edge in edges})

    found = latency.quantile_milliseconds(0.99)
    real = sorted(times)[max(0, -(-99 * len(times) // 100) - 1)]

    upper = next(edge for edge in edges if real <= edge)
    lower = ([0, *edges])[edges.index(upper)]
    assert lower <= found <= upper
    assert latency.slow_share() == sum(time > 100 for time in times) / len(times)


def test_nothing_counted_has_no_share_and_no_quantile():
    assert Attempts().error_share is None
    assert Latency().quantile_milliseconds(0.99) is None
    assert Latency().slow_share() is None
