from dataclasses import replace
from datetime import UTC, datetime, timedelta

from migration.rules import gates
from migration.rules.gates import Compared, Guard, ServedByNew
from migration.rules.sequential import Evidence, Verdict

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
GOOD = ServedByNew(
    owner=Evidence(1_000, 0),
    shadow=Evidence(4_000, 0),
    owner_slow=Evidence(1_000, 0),
    shadow_slow=Evidence(4_000, 0),
    moved=20,
    heard=20,
    cpu_percent=20.0,
    memory_percent=10.0,
    connections_percent=12.0,
    requests_per_second=100.0,
    slower_than_legacy=Evidence(5_000, 20),
    legacy_limit_ms=25.0,
    sampled_age_seconds=0.8,
)
EQUAL = Compared(200, (), NOW, 5_000, 5_000, 1_000, 1_000, 0.3, 0.6, percent=10)


def test_the_phase_is_not_over_before_its_time():
    judgement = gates.duration(NOW, timedelta(minutes=2), NOW + timedelta(seconds=119))

    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "not before 24 Nov 09:02:00 UTC" in judgement.sentence
    assert gates.duration(NOW, timedelta(minutes=2), NOW + timedelta(seconds=120)).verdict is Verdict.PASS


def test_shadow_requests_are_evidence_for_new():
    assert gates.performance(GOOD).verdict is Verdict.PASS


def test_too_few_requests_are_inconclusive_and_say_how_many_more():
    judgement = gates.performance(replace(GOOD, owner=Evidence(0, 0), shadow=Evidence(100, 0)))

    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.more_needed > 3_000


def test_errors_as_owner_veto_a_clean_shadow():
    judgement = gates.performance(replace(GOOD, owner=Evidence(1_000, 9), shadow=Evidence(90_000, 0)))

    assert judgement.verdict is Verdict.FAIL
    assert "errors as owner" in judgement.sentence


def test_a_robot_that_fell_silent_after_moving_fails_the_gate_by_name():
    judgement = gates.performance(replace(GOOD, silent_after_moving=("Lekiwi_B827EB5A",)))

    assert judgement.verdict is Verdict.FAIL
    assert "Lekiwi_B827EB5A" in judgement.sentence


def test_a_moved_robot_that_new_has_not_heard_keeps_the_gate_open():
    assert gates.performance(replace(GOOD, heard=19)).verdict is Verdict.INCONCLUSIVE


def test_a_load_that_was_not_measured_is_not_taken_as_fine():
    assert gates.performance(replace(GOOD, cpu_percent=None)).verdict is Verdict.INCONCLUSIVE


def test_a_busy_machine_fails_the_gate():
    assert gates.performance(replace(GOOD, cpu_percent=81.0)).verdict is Verdict.FAIL


def test_equal_rows_and_complete_mirrors_are_accurate():
    assert gates.accuracy(EQUAL, NOW).verdict is Verdict.PASS


def test_a_row_that_differs_fails_accuracy_by_name():
    judgement = gates.accuracy(replace(EQUAL, different=("Lekiwi_AB",)), NOW)

    assert judgement.verdict is Verdict.FAIL
    assert "Lekiwi_AB" in judgement.sentence


def test_lost_copies_fail_accuracy():
    assert gates.accuracy(replace(EQUAL, to_new_copies=4_900), NOW).verdict is Verdict.FAIL


def test_an_old_comparison_is_no_evidence():
    assert gates.accuracy(EQUAL, NOW + timedelta(minutes=5)).verdict is Verdict.INCONCLUSIVE
    assert gates.accuracy(replace(EQUAL, compared_at=None), NOW).verdict is Verdict.INCONCLUSIVE


def test_a_guard_without_progress_fails_monitoring_by_name():
    judgement = gates.monitoring([Guard("watchdog", 7.2, 5.0), Guard("route_agent", 0.4, 5.0)])

    assert judgement.verdict is Verdict.FAIL
    assert judgement.sentence == "watchdog has made no progress for 7 s"


def test_a_guard_that_was_never_heard_fails_monitoring():
    assert gates.monitoring([Guard("worker", None, 15.0)]).verdict is Verdict.FAIL


def test_an_open_critical_alert_is_no_stability():
    assert gates.stability([("new: p99 700 ms", None)], timedelta(minutes=30), NOW).verdict is Verdict.FAIL


def test_an_alert_that_closed_within_the_window_is_waited_for():
    closed = NOW - timedelta(minutes=10)

    assert gates.stability([("x", closed)], timedelta(minutes=30), NOW).verdict is Verdict.INCONCLUSIVE
    assert gates.stability([("x", closed)], timedelta(minutes=5), NOW).verdict is Verdict.PASS


def test_an_unproven_alert_pipeline_is_not_green_and_a_waived_one_says_so():
    assert gates.alert_pipeline("required").verdict is Verdict.INCONCLUSIVE
    assert gates.alert_pipeline("waived").verdict is Verdict.WAIVED
