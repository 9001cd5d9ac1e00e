from datetime import UTC, datetime

import pytest

from migration.drivers.errors import Latched, NotLatched
from migration.drivers.route_file import RouteFile
from migration.rules.routes import InvalidPlan, RoutePlan

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path):
    made = RouteFile(tmp_path / "envoy", now=lambda: NOON)
    made.initialise(RoutePlan.split(50, pins={"lekiwi_1": "new"}))
    return made


def latch(file):
    return file.latch(RoutePlan.emergency(), because="new is sick", by="on-call")


def test_a_latch_holds_against_every_other_plan_and_says_who_and_why(file):
    latch(file)

    with pytest.raises(Latched, match="latched by on-call: new is sick"):
        file.write(RoutePlan.split(25), because="the database says so", by="agent")
    assert file.read().plan.latched
    held = file.latched()
    assert (held.because, held.by, held.at, held.version) == ("new is sick", "on-call", NOON, 2)


def test_a_latch_may_be_set_again(file):
    latch(file)

    assert latch(file).version == 3


def test_a_release_lets_other_plans_in_again_and_moves_nothing_itself(file):
    latch(file)
    released = file.release(by="lead", because="new is well")

    assert file.latched() is None
    assert file.read().plan.latched
    assert released.released == {"by": "lead", "because": "new is well", "at": NOON.isoformat()}
    assert file.write(RoutePlan.split(10), because="again", by="lead").plan.percent == 10


def test_a_second_emergency_holds_after_the_first_was_released(file):
    latch(file)
    file.release(by="lead", because="new is well")
    latch(file)

    with pytest.raises(Latched):
        file.write(RoutePlan.split(10), because="again", by="lead")


def test_a_crash_before_the_note_was_written_leaves_the_latch_in_the_route_file(file):
    latch(file)
    file.latch_file.unlink()

    assert file.latched().because == "new is sick"
    with pytest.raises(Latched):
        file.write(RoutePlan.split(10), because="again", by="lead")


def test_a_crash_before_a_second_note_leaves_the_latch_in_the_route_file(file):
    latch(file)
    file.release(by="lead", because="new is well")
    note = file.latch_file.read_text()
    latch(file)
    file.latch_file.write_text(note)

    assert file.latched().version == 3


def test_a_lost_route_file_does_not_release_the_latch(file):
    latch(file)
    file.routes.unlink()

    with pytest.raises(Latched):
        file.write(RoutePlan.split(10), because="again", by="lead")
    assert file.initialise(RoutePlan.split(50)).plan.latched
    assert file.latched().by == "on-call"


def test_a_note_that_cannot_be_read_holds_until_it_is_released(file):
    file.latch_file.write_text("{")

    with pytest.raises(Latched, match=r"latch\.json cannot be read"):
        file.write(RoutePlan.split(10), because="again", by="lead")
    file.release(by="lead", because="looked at it")
    assert file.write(RoutePlan.split(10), because="again", by="lead").plan.percent == 10


def test_an_emergency_succeeds_when_its_note_cannot_be_written(file):
    (file.latch_file / "in the way").mkdir(parents=True)

    assert latch(file).plan.latched
    assert file.read().plan.latched


def test_an_emergency_needs_no_filter_file(file):
    file.filter.write_text("broken")

    latch(file)

    assert file.filter.read_text() == "broken"


def test_what_is_not_latched_cannot_be_released(file):
    with pytest.raises(NotLatched):
        file.release(by="lead", because="to be sure")


def test_an_emergency_takes_a_latched_plan_only(file):
    with pytest.raises(InvalidPlan):
        file.latch(RoutePlan.shadowing(), because="a mistake", by="lead")
