"""From reports to sessions: the decisions alone."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teleop.following.log import Said
from teleop.rules.detectors import DETECTORS, findings_in
from teleop.rules.fusion import fuse
from teleop.rules.layouts import USUAL, Layout, layout_for
from teleop.rules.signals import Driver, Report, read_signals
from teleop.rules.standing import Step
from tests.teleop.saying import KEY, Robot, driven, said, stopped

NOBODY = {"observers": 0, "flows": []}


def test_a_host_that_runs_is_not_a_robot_that_is_operated() -> None:
    robot = Robot()

    assert (robot.state, robot.steps) == ("host_ready", [])


def test_a_session_begins_with_its_first_command_and_ends_with_its_last() -> None:
    robot = Robot().drive(10.0, 15.0).hear(stopped(15.6, 15.0, **NOBODY))

    assert robot.steps == [(Step.BEGAN, 10.0), (Step.ENDED, 15.0)]
    assert (robot.state, robot.endings) == ("host_ready", ["operator_left"])


def test_the_last_command_of_a_session_that_is_over_begins_no_other_one() -> None:
    robot = Robot().drive(10.0, 15.0).hear(stopped(15.6, 15.0, **NOBODY))
    robot.hear(said(15.7, command_age_ms=700, **NOBODY), said(15.8, command_age_ms=790, watchdog_active=False))

    assert [step for step, _ in robot.steps].count(Step.BEGAN) == 1


def test_a_pause_is_lost_and_the_same_session_goes_on() -> None:
    robot = Robot().drive(10.0, 12.0).hear(stopped(12.6, 12.0)).drive(15.0, 16.0)

    assert robot.steps == [(Step.BEGAN, 10.0), (Step.LOST, 12.0), (Step.RESUMED, 15.0)]


def test_commands_that_stay_away_end_the_session_with_the_last_one() -> None:
    robot = Robot().drive(10.0, 12.0)
    for at in range(13, 23):
        robot.hear(stopped(float(at), 12.0)).wait(at + 0.2)

    assert robot.steps[-1] == (Step.ENDED, 12.0)
    assert robot.endings == ["commands_stopped"]


def test_a_robot_that_dies_is_lost_within_a_second_and_ends_later() -> None:
    robot = Robot().drive(10.0, 12.0).wait(12.9)

    assert robot.state == "lost"
    robot.wait(22.5)
    assert (robot.endings, robot.state) == (["robot_silent"], "unknown")
    assert robot.steps[-1] == (Step.ENDED, 11.98)


def test_what_was_late_and_says_that_commands_flowed_takes_the_loss_back() -> None:
    robot = Robot().drive(10.0, 12.0).wait(13.0)
    robot.hear(driven(12.5, 10.0), driven(13.1, 10.0))

    assert robot.steps == [(Step.BEGAN, 10.0), (Step.LOST, 11.98), (Step.RESTORED, 11.98)]


def test_a_burst_after_a_silence_is_placed_by_the_robots_own_clock() -> None:
    robot = Robot().hear(said(12.0, received=14.9, watchdog_active=True, command_rate_hz=0))
    for at in (13.1, 13.35, 14.8):
        robot.hear(driven(at, 13.0, received=15.0))

    assert robot.steps == [(Step.BEGAN, 13.0)]


def test_a_report_that_others_overtook_changes_nothing() -> None:
    robot = Robot().drive(10.0, 12.0).hear(stopped(12.6, 12.0, **NOBODY))
    robot.hear(driven(11.9, 10.0, received=12.7))

    assert robot.state == "host_ready"


def test_a_host_whose_time_ran_out_under_an_operators_hands() -> None:
    robot = Robot().drive(10.0, 30.0, host_up_for_ms=29_500, host_runs_for_ms=30_000)
    robot.hear(said(30.2, host_up=False))

    assert (robot.endings, robot.state) == (["host_time_over"], "idle")


def test_a_host_that_died_early_did_not_run_out_of_time() -> None:
    robot = Robot().drive(10.0, 12.0, host_up_for_ms=9_000, host_runs_for_ms=120_000).hear(said(12.2, host_up=False))

    assert robot.endings == ["host_ended"]


def test_a_robot_that_starts_anew_has_ended_its_session() -> None:
    robot = Robot().drive(10.0, 12.0).hear(said(14.0, run="b", watchdog_active=True, command_rate_hz=0))

    assert robot.endings == ["robot_restarted"]


def test_a_handover_is_one_session_with_two_operators() -> None:
    robot = Robot().drive(10.0, 12.0, operators=[{"id": "ada", "command_age_ms": 20}])
    both = [{"id": "ada", "command_age_ms": 900}, {"id": "bob", "command_age_ms": 20}]
    robot.hear(driven(13.0, 10.0, operators=both))

    told = [(each.event.step, each.event.operator) for each in robot.changes if each.event.operator]
    assert told == [(Step.JOINED, "ada"), (Step.LEFT, "ada"), (Step.JOINED, "bob")]
    assert [step for step, _ in robot.steps].count(Step.BEGAN) == 1
    assert Step.CONTESTED not in dict(robot.steps)


def test_two_operators_at_once_are_flagged() -> None:
    both = [{"id": "ada", "command_age_ms": 20}, {"id": "bob", "command_age_ms": 40}]
    robot = Robot().drive(10.0, 11.0, operators=both)

    assert Step.CONTESTED in dict(robot.steps)


def test_the_late_close_of_an_old_connection_keeps_nobody_in_a_session() -> None:
    robot = Robot().drive(10.0, 20.0, flows=[{"port": 5555, "received_age_ms": 20}])
    robot.hear(stopped(20.7, 20.0, flows=[{"port": 5555, "received_age_ms": 6_000}]))

    assert robot.endings == ["operator_left"]


def test_a_policy_and_a_person_are_two_sessions() -> None:
    robot = Robot().drive(10.0, 12.0, driver="policy").hear(driven(12.2, 10.0, driver="human"))

    assert robot.endings == ["driver_changed"]
    assert robot.fleet.robots[KEY].standing.open.driver is Driver.HUMAN  # type: ignore[union-attr]


def test_without_evidence_of_who_drives_the_driver_is_unknown() -> None:
    robot = Robot().drive(10.0, 11.0)

    assert robot.fleet.robots[KEY].standing.open.driver is Driver.UNKNOWN  # type: ignore[union-attr]


def test_a_watchdog_that_a_clock_tripped_ends_nothing() -> None:
    robot = Robot().drive(10.0, 12.0).hear(driven(12.2, 10.0, watchdog_active=True))

    assert robot.state == "active"


def test_data_on_the_port_that_are_no_valid_commands_do_not_operate() -> None:
    flows = [{"port": 5555, "received_age_ms": 20}]
    robot = Robot().hear(said(5.0, flows=flows, command_age_ms=4_000, watchdog_active=True))

    assert robot.state == "host_ready"


def test_a_legacy_robot_whose_service_runs_is_unknown_and_not_operated() -> None:
    fleet = Robot().fleet
    fleet.hear(Said(b"old", "Lekiwi_9", 1.0, 1.0, "", None, "active"))

    held = fleet.robots[b"old"]
    assert (held.standing.state.value, held.standing.basis.value) == ("unknown", "legacy")
    fleet.hear(Said(b"old", "Lekiwi_9", 2.0, 2.0, "", None, "inactive"))
    assert fleet.robots[b"old"].standing.state.value == "idle"


def test_weak_evidence_decides_nothing_by_itself() -> None:
    for weak in (Report(1, 1, observers=1), Report(1, 1, moving=True), Report(1, 1, service="active")):
        assert fuse(findings_in(weak, USUAL), None).operated is None


def test_the_layout_that_names_more_wins() -> None:
    known = [Layout(), Layout(kind="xle"), Layout(kind="xle", site="b", command_timeout=1.0)]

    assert layout_for("xle", "b", known).command_timeout == 1.0
    assert layout_for("xle", "a", known).kind == "xle"
    assert layout_for("lekiwi", "a", known) == Layout()


def test_there_is_a_detector_per_kind_of_signal() -> None:
    assert {"commands", "watchdog", "observers", "peers", "devices", "flows", "motion", "host", "service"} <= {
        *DETECTORS
    }


INNER = ["id", "port", "operator", "received_age_ms", "command_age_ms", "active_age_ms", "state", "fps", "kind"]
WORDS = [None, True, False, "", "human", "\ud800", 5555, -1, 0, 10**15, float("nan"), 0.5, "id", "connected"]
flat = st.sampled_from(WORDS)
items = st.lists(flat | st.dictionaries(st.sampled_from(INNER), flat, max_size=3), max_size=3)
#: a busy machine draws slowly, which is no fault of the rule
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
NAMES = [
    "command_age_ms",
    "command_rate_hz",
    "flows",
    "peers",
    "devices",
    "operators",
    "host_up",
    "driver",
    "observers",
]


@patient
@given(st.dictionaries(st.sampled_from(NAMES), flat | items))
def test_whatever_a_robot_says_there_is_a_verdict(document: dict[str, object]) -> None:
    verdict = fuse(findings_in(read_signals(document, at=10.0, heard_at=10.0), USUAL), None)

    assert 0.5 <= verdict.confidence <= 1
    assert verdict.because


@patient
@given(st.lists(st.tuples(st.floats(0.05, 3), st.booleans(), st.booleans()), max_size=30))
def test_steps_alternate_and_no_session_ends_before_it_begins(life: list[tuple[float, bool, bool]]) -> None:
    robot, at, since, last = Robot(), 1.0, None, 0.0
    for gap, drives, gone in life:
        at += gap
        robot.wait(at)
        if drives:
            since = at if since is None else since
            last = at
            robot.hear(driven(at, since))
        else:
            since = None
            robot.hear(stopped(at + 0.001, last, **(NOBODY if gone else {})))
    began: dict[str, float] = {}
    for each in robot.changes:
        event = each.event
        if event.step is Step.BEGAN:
            began[event.session] = event.at
        if event.step is Step.ENDED:
            assert event.at >= began.pop(event.session)
    assert len(began) <= 1


@pytest.mark.parametrize("seed", [1])
def test_on_a_tuning_seed_every_session_is_found_and_none_invented(seed: int) -> None:
    from benchmarks.teleop_virtual import run

    figures = run(seed, 40, 20, 90).figures(40)

    assert (figures["missed"], figures["invented"], figures["accuracy_percent"]) == (0, 0, 100.0)
    assert figures["edge_p99_s"] <= 0.5
    assert figures["driver_percent"] == 100.0
