"""A system dies, hangs or fails, and no robot sees it; and where nothing may fall over, nothing does."""

import itertools
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from migration.rules.routes import RoutePlan
from tests.migration.door import CHECK, STATUS, Door, System, wait_for

ROBOTS = [f"robot-{number}" for number in range(48)]
PINS = {"on-new": "new", "on-legacy": "legacy"}


@pytest.fixture(scope="module")
def one_door(tmp_path_factory) -> Iterator[Door]:
    with Door(tmp_path_factory.mktemp("door")) as door:
        yield door


@pytest.fixture
def door(one_door) -> Door:
    if held := one_door.file.latched():
        one_door.file.release(by="test", because=f"the next test, after {held.because}")
    one_door.fresh()
    return one_door


def fail(system: System, how: str) -> None:
    if how == "killed":
        system.kill()
    elif how == "stopped":
        system.freeze()
    else:
        system.behave(status=int(how), healthy=False)


@pytest.mark.parametrize("percent", [10, 50, 100])
@pytest.mark.parametrize("sick", ["new", "legacy"])
@pytest.mark.parametrize("how", ["killed", "stopped", "500", "503"])
def test_no_robot_sees_a_system_fail(door, how, sick, percent):
    door.route(RoutePlan.split(percent, pins=PINS))
    well = "legacy" if sick == "new" else "new"
    door.beats(ROBOTS)

    fail(getattr(door, sick), how)
    statuses, by = Counter(), Counter()
    # All at once: the robots that a stopped system keeps waiting are asked about again side by side.
    for _ in range(2):
        for answer in door.beats(ROBOTS, workers=len(ROBOTS)).values():
            statuses[answer.status] += 1
            by[answer.system] += 1
    check = door.call("GET", f"{CHECK}?robot_id=on-{sick}&current_version=1")

    assert statuses == {200: 2 * len(ROBOTS)}
    assert by == {well: 2 * len(ROBOTS)}
    assert (check.status, check.system) == (200, well)


def test_no_robot_sees_it_when_the_whole_fleet_is_refused_in_one_instant(door):
    # Robots that were cut off together come back together: what fails, fails for all of them at the same moment.
    door.route(RoutePlan.split(100))
    door.new.behave(delay_seconds=30)
    with ExitStack() as open_connections:
        robots = [open_connections.enter_context(door.robot()) for _ in range(400)]
        for number, robot in enumerate(robots):
            robot.begin_beat(f"robot-{number}")
        wait_for(lambda: waiting_for_new(door) == len(robots))

        door.new.kill()

        assert Counter(robot.answer().status for robot in robots) == {200: len(robots)}


def waiting_for_new(door: Door) -> int:
    told = door.admin("/stats?filter=cluster.new_first.upstream_rq_active$")
    return int(told.rpartition(":")[2])


def test_a_system_that_is_back_is_asked_again(door):
    door.route(RoutePlan.split(50, pins=PINS))
    door.new.kill()
    door.beats(ROBOTS)
    assert door.beat("on-new").system == "legacy"

    door.new.revive()

    wait_for(lambda: door.beat("on-new").system == "new", seconds=20)


def test_a_large_heartbeat_falls_over_too(door):
    door.route(RoutePlan.split(50, pins=PINS))
    door.legacy.behave(status=500)

    answer = door.call("POST", STATUS, json.dumps({"robot_id": "on-legacy", "message": "x" * 5_000_000}))

    assert (answer.status, answer.system) == (200, "new")
    heard = next(each for each in door.new.heard(STATUS) if "x-shadow" not in each["headers"])
    assert heard["headers"]["x-side"] == "legacy"
    assert heard["headers"]["x-request-id"] == answer.headers["x-request-id"]


def test_a_legacy_that_fails_operators_does_not_lose_its_robots(door):
    door.route(RoutePlan.split(50, pins=PINS))
    door.legacy.behave(statuses={"/api/fleet": 500})

    for _ in range(20):
        assert door.call("GET", "/api/fleet").status == 500

    assert door.beat("on-legacy").system == "legacy"


@pytest.mark.parametrize("how", ["killed", "500"])
def test_before_new_is_in_play_nothing_falls_over_to_it(door, how):
    door.route(RoutePlan.preparation())
    fail(door.legacy, how)

    answers = [*door.beats(ROBOTS).values(), door.call("GET", f"{CHECK}?robot_id=a")]

    assert {answer.status for answer in answers} == {500 if how == "500" else 503}
    assert door.new.heard() == door.site.heard() == []


def test_latched_everything_is_legacys_and_new_hears_copies_alone(door):
    door.route(RoutePlan.split(100, pins=PINS))
    door.await_route(door.file.latch(RoutePlan.emergency(), because="new is sick", by="on-call"))

    answers = [*door.beats([*ROBOTS, "on-new"]).values(), door.call("GET", "/api/robots")]
    refused = door.call("POST", "/api/v2/heartbeat", b"{}")

    assert {(answer.status, answer.system) for answer in answers} == {(200, "legacy")}
    assert refused.status == 503
    copies = wait_for(lambda: (heard := door.new.heard()) and len(heard) == len(ROBOTS) + 1 and heard)
    assert all("x-shadow" in each["headers"] for each in copies)
    door.legacy.kill()
    assert {answer.status for answer in door.beats(ROBOTS).values()} == {503}


def test_a_connection_that_legacy_closed_while_idle_fails_no_robot(door):
    door.route(RoutePlan.preparation())
    with door.robot() as robot:
        assert robot.beat("a").status == 200
        door.legacy.kill()
        door.legacy.revive()
        assert robot.beat("a").status == 200


def test_after_a_restart_of_the_door_alone_the_confirmed_split_holds(door):
    plan = RoutePlan.split(50, pins=PINS)
    door.route(plan)
    os.kill(door.envoy.pid, signal.SIGKILL)
    door.envoy.stop()

    door.envoy.start()

    answers = door.beats([*ROBOTS, *PINS])
    assert {robot: answer.system for robot, answer in answers.items()} == {
        robot: plan.owner_of(robot).side for robot in answers
    }


BROKEN = {
    "truncated": lambda text: text[: len(text) // 2],
    "an unknown cluster": lambda text: text.replace('"new_first"', '"nobody"'),
    "an unknown field": lambda text: text.replace('"timeout"', '"time_out"'),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_route_file_is_refused_and_the_last_good_one_kept(door, how):
    plan = RoutePlan.split(50, pins=PINS)
    routed = door.route(plan)
    other = door.file.directory / "other.json"
    other.write_text(BROKEN[how](door.file.routes.read_text()).replace(f'"{routed.version}"', '"999"'))

    other.replace(door.file.routes)

    def refusals():
        lines = door.admin("/stats?filter=rds.fleet.update_(rejected|failure)").splitlines()
        return sum(int(line.rpartition(" ")[2]) for line in lines)

    wait_for(refusals)
    answers = door.beats(ROBOTS)
    assert {robot: answer.system for robot, answer in answers.items()} == {
        robot: plan.owner_of(robot).side for robot in answers
    }
    assert door.file.initialise(plan).version > routed.version or how != "truncated"


def test_a_broken_filter_is_refused_and_the_pins_are_kept(door):
    door.route(RoutePlan.split(50, pins=PINS))
    broken = door.file.directory / "other.json"
    broken.write_text(door.file.filter.read_text().replace("local PIN", "lokal PIN").replace('_info": "', '_info": "9'))

    broken.replace(door.file.filter)

    wait_for(lambda: "config_fail: 1" in door.admin("/stats?filter=extension_config_discovery"))
    assert [door.beat(robot).system for robot in ("on-new", "on-legacy")] == ["new", "legacy"]
    door.file.write(RoutePlan.split(50, pins=PINS), because="repair", by="test")
    assert "lokal" not in door.file.filter.read_text()


def test_open_connections_of_robots_survive_every_change(door):
    door.route(RoutePlan.split(50, pins=PINS))
    with door.robot() as robot:
        for percent in itertools.islice(itertools.cycle((10, 100, 25)), 9):
            door.route(RoutePlan.split(percent, pins=PINS))
            assert robot.beat("on-new").system == "new"
