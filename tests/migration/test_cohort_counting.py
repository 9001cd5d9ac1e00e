"""A real door counts by cohort what each system failed, and neither routes nor pins nor an emergency depend on it."""

import json
from collections.abc import Iterator

import pytest

from migration import cohort_telling, pinning, routing, spool, traffic
from migration.drivers import atomic_file
from migration.drivers.cohort_file import CohortFile
from migration.rules.cohort_errors import CohortServed, by_kind_and_site
from migration.rules.phases import phase_of
from migration.rules.plans import RoutePlan
from migration.rules.watching import Action
from migration.watchdog import Watchdog
from tests.builders import heard_robot
from tests.migration.door import Door, wait_for
from tests.migration.installation import door, installation  # noqa: F401

pytestmark = pytest.mark.django_db

PAIRS = [(f"XLE_{number}", f"Lekiwi_{number}") for number in range(40)]
ROBOTS = [robot for pair in PAIRS for robot in pair]
#: nothing that closes a string, a bracket or a line of Lua's gets out of the table
HOSTILE = ["a]==]..os.exit()", 'b"\\', "c%5D\u00e9", "d e"]


def run_by(door: Door) -> str:
    found = door.admin("/stats?filter=http_filter.cohorts.version_text")
    return found.rpartition(": ")[2].strip().strip('"')


def told(door: Door) -> None:
    """Tell the door of every robot that is known, and wait until it counts by that."""
    cohort_telling.tell()
    version = json.loads(CohortFile(door.file.directory).path.read_text())["version_info"]
    wait_for(lambda: run_by(door) == version)


def counted(door: Door) -> dict[tuple[str, str], CohortServed]:
    """What was counted since this Envoy began."""
    counters, _ = routing.read_counters()
    flow = traffic.between({}, counters["front-a"], 1.0)
    return {(each.system, each.cohort): each for each in (*flow.cohorts, *by_kind_and_site(flow.cohorts))}


@pytest.fixture
def fleet(installation: Door) -> Iterator[Door]:
    installation.fresh()
    installation.route(RoutePlan.split(100))
    for number, (xle, lekiwi) in enumerate(PAIRS):
        site = "AB"[number % 2]
        heard_robot(xle, kind_by_id="xle", site=site)
        heard_robot(lekiwi, kind_by_id="lekiwi", site=site)
    told(installation)
    yield installation
    CohortFile(installation.file.directory).write({})


def test_a_system_that_fails_one_kind_is_told_of_that_kind_though_no_robot_was_failed(fleet):
    fleet.new.behave(failing="XLE")

    answers = fleet.beats(ROBOTS, workers=1)

    assert {answer.status for answer in answers.values()} == {200}
    seen = counted(fleet)
    xle, lekiwi = seen["new", "kind xle"], seen["new", "kind lekiwi"]
    assert (xle.requests, xle.errors, xle.error_share, xle.passed_over) == (40, 40, 1.0, 0)
    assert (lekiwi.requests, lekiwi.errors, lekiwi.error_share) == (40, 0, None), "40 are too few to call it 0 %"
    assert (seen["new", "kind xle at site A"].errors, seen["new", "site B"].errors) == (20, 20)
    assert {system for system, _ in seen} == {"new"}, "copies to legacy and failovers are nobody's own calls"
    wait_for(lambda: counted(fleet)["new", "kind lekiwi"].timed == 40)
    assert counted(fleet)["new", "kind xle"].timed == 0, "a failover's time is not the owner's"


def test_copies_that_fail_are_not_counted_in_any_cohort(fleet):
    fleet.route(RoutePlan.shadowing())
    fleet.new.behave(status=500)

    fleet.beats(ROBOTS[:10])
    wait_for(lambda: routing.counters()[0]["front-a"].new.shadow.errors == 10)

    seen = counted(fleet)
    assert seen["legacy", "kind xle"].requests == seen["legacy", "kind lekiwi"].requests == 5
    assert {system for system, _ in seen} == {"legacy"}
    assert all(each.errors == 0 for each in seen.values())


def test_robots_that_were_not_sent_to_an_ejected_system_are_no_errors_of_it(fleet):
    fleet.new.behave(failing="XLE")

    fleet.beats([xle for xle, _ in PAIRS], workers=1)

    xle = counted(fleet)["new", "kind xle"]
    assert xle.requests + xle.passed_over == 40
    assert xle.errors == xle.requests == routing.counters()[0]["front-a"].new.owner.errors < 40


def test_a_robot_that_is_not_known_yet_is_told_as_such_and_an_id_cannot_get_out_of_the_table(fleet):
    for robot in HOSTILE:
        heard_robot(robot, kind_by_id="xle", site='q"]==]')
    told(fleet)

    fleet.beats([*HOSTILE, "Stranger"])

    seen = counted(fleet)
    assert seen["new", 'kind xle at site q"]==]'].requests == len(HOSTILE)
    assert seen["new", "not known yet"].requests == 1


def test_a_table_that_the_door_refuses_changes_nothing_for_robots(fleet):
    file = CohortFile(fleet.file.directory)
    good = json.loads(file.path.read_text())["version_info"]
    broken = file.path.read_text().replace("local COHORT", "local (((")
    with atomic_file.locked(file.directory / "cohorts.lock") as lock:
        atomic_file.replace(file.path, broken.replace(f'"{good}"', '"999"'), file.path.parent, lock)
    wait_for(lambda: "cohorts.update_rejected: 1" in fleet.admin("/stats?filter=http_filter.cohorts"))

    assert fleet.beat(ROBOTS[0]).status == 200
    assert run_by(fleet) == good
    fleet.envoy.stop()
    fleet.envoy.start()
    assert (fleet.beat(ROBOTS[0]).system, run_by(fleet)) == ("new", ""), "it starts without a table"
    told(fleet)
    assert int(run_by(fleet)) == 1000


def test_an_emergency_and_a_pin_do_not_wait_for_the_table_nor_does_a_new_table_touch_them(fleet):
    before = fleet.file.read()
    with atomic_file.locked(fleet.file.directory / "cohorts.lock"):
        pinned = fleet.file.write(RoutePlan.split(50, pins={"xle_1": "new"}), because="a test", by="test")
        latched = fleet.file.latch(RoutePlan.emergency(), "a test", "test")
    heard_robot("late")

    assert cohort_telling.tell()
    assert before.version < pinned.version < latched.version == fleet.file.read().version
    assert fleet.file.read().filter_version == pinned.version


def test_the_table_is_written_only_when_a_robot_changed_its_cohort_and_looked_at_seldom(fleet):
    now = [100.0]
    seldom = cohort_telling._Seldom(15.0, clock=lambda: now[0])

    assert not cohort_telling.tell(), "nothing changed"
    seldom.tend()
    heard_robot("late")
    seldom.tend()
    assert b"late" not in CohortFile(fleet.file.directory).path.read_bytes(), "not due yet"
    now[0] += 16.0
    seldom.tend()
    assert b"late" in CohortFile(fleet.file.directory).path.read_bytes()


def test_a_rollback_says_in_which_cohort_the_errors_were(fleet, settings):
    fleet.route(routing.plan_for(phase_of("full_100"), pinning.pins()))
    fleet.new.behave(failing="XLE")
    watchdog = Watchdog()

    watchdog.look()
    fleet.beats(ROBOTS, workers=1)
    look = watchdog.look()

    assert look.decision.action is Action.EMERGENCY
    assert "it failed 40 of 40 of kind xle, 0 of 40 of the others" in look.decision.sentence
    ((_, record),) = spool.waiting(settings.SPOOL_DIR)
    cohorts = {(each["system"], each["cohort"]): each for each in record["rollback"]["evidence"]["cohorts"]}
    assert (cohorts["new", "kind xle"]["errors"], cohorts["new", "kind lekiwi"]["errors"]) == (40, 0)
