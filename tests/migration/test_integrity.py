"""Checking two running systems."""

from datetime import UTC, datetime, timedelta

import pytest

from heartbeat.models import LegacyRow, Spelling
from migration import evidence
from migration.models import Comparison, Discrepancy, IntegrityCheck, Replayed
from migration.rules import gates
from migration.rules.sequential import Verdict
from migration.validation import integrity
from tests.builders import heard_robot, phase_run
from tests.migration.two_systems import TwoSystems, put, row, two_systems  # noqa: F401

pytestmark = pytest.mark.django_db

State = Discrepancy.State


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(integrity, "LAG_SECONDS", 0.05)
    monkeypatch.setattr(integrity, "PAUSE_SECONDS", 0.05)


def test_ten_thousand_equal_robots_are_whole_and_no_field_is_looked_at(two_systems: TwoSystems):
    rows = [row(f"Lekiwi_{number}") for number in range(10_000)]
    two_systems.hold(rows, reversed(rows))

    found = integrity.check(**two_systems.urls)

    assert found.is_whole
    assert (found.rows, found.unequal_buckets) == (10_000, 0)
    assert found.digests["legacy"] == found.digests["new"]
    assert Comparison.objects.get().rows == 10_000


def test_every_robot_every_field_both_ways(two_systems: TwoSystems):
    legacy = [row("same"), row("only legacy"), row("differs", status="failed", message="jammed")]
    two_systems.hold(legacy, [row("same"), row("only new"), row("differs"), row(None)])

    found = integrity.check(**two_systems.urls)

    told = {(one.robot_id, one.field, one.legacy, one.new) for one in found.unexplained}
    assert told == {
        ("only legacy", "row", "present", "absent"),
        ("only new", "row", "absent", "present"),
        ('(row without an id ["v1","all"], 1)', "row", "absent", "present"),
        ("differs", "status", "failed", "idle"),
        ("differs", "message", "jammed", None),
    }
    assert {one.state for one in found.unexplained} == {State.CONFIRMED}
    assert not found.is_whole


def test_deployments_are_compared_too_but_not_where_their_files_lie(two_systems: TwoSystems):
    one = {"id": "dep_1", "version": "v1", "timestamp": "2026-11-24T09:00:00", "package_path": "/a/dep_1.tar.gz"}
    two_systems.hold([], [], [one], [{**one, "package_path": "/b/dep_1.tar.gz"}])
    assert integrity.check(**two_systems.urls).is_whole

    put(two_systems.new, [], [{**one, "version": "v2"}])
    (found,) = integrity.check(**two_systems.urls).unexplained

    assert (found.subject, found.robot_id, found.field) == ("deployment", "dep_1", "version")


def test_a_robot_that_disagrees_with_its_own_row_is_found(two_systems: TwoSystems):
    two_systems.hold([], [])
    robot = heard_robot("Lekiwi_1", status="failed", protocol="legacy")
    at = {"first_at": robot.first_seen_at, "status_at": robot.last_status_at}
    LegacyRow.objects.create(key=b"Lekiwi_1", robot_id="Lekiwi_1", status="idle", **at)
    Spelling.objects.create(key=b"Lekiwi_1", robot_key=robot.key, robot_id="Lekiwi_1", first_at=robot.first_seen_at)
    heard_robot("Lekiwi_2", protocol="legacy")

    found = integrity.check(**two_systems.urls).unexplained

    assert {(one.subject, one.robot_id, one.field) for one in found} == {
        ("robot", "Lekiwi_1", "status"),
        ("robot", "Lekiwi_2", "row"),
    }


def test_a_discrepancy_is_pending_then_confirmed_then_settled_when_it_is_equal_again(two_systems: TwoSystems):
    listed = row("r")
    two_systems.hold([listed | {"status": "failed"}], [listed])
    states = []

    def look(what: str, done: int, of: int) -> None:
        if what == "re-reading what differs":
            states.append(Discrepancy.objects.get().state)

    integrity.check(**two_systems.urls, progress=look)
    discrepancy = Discrepancy.objects.get()

    assert set(states) == {State.PENDING}
    assert discrepancy.state == State.CONFIRMED
    assert (discrepancy.legacy, discrepancy.new) == ("failed", "idle")
    since = discrepancy.since

    put(two_systems.new, [listed | {"status": "success"}])
    integrity.check(**two_systems.urls)
    discrepancy.refresh_from_db()
    assert (discrepancy.new, discrepancy.since, discrepancy.state) == ("success", since, State.CONFIRMED)

    put(two_systems.new, [listed | {"status": "failed"}])
    assert integrity.check(**two_systems.urls).is_whole
    discrepancy.refresh_from_db()
    assert discrepancy.state == State.SETTLED


def test_what_was_on_its_way_is_forgotten(two_systems: TwoSystems):
    two_systems.hold([row("r", status="failed")], [row("r")])

    def arrive(what: str, done: int, of: int) -> None:
        if what == "re-reading what differs":
            put(two_systems.new, [row("r", status="failed")])

    found = integrity.check(**two_systems.urls, progress=arrive)

    assert found.is_whole
    assert not Discrepancy.objects.exists()


def test_a_row_that_new_told_legacy_is_compared_by_the_time_of_what_was_told(two_systems: TwoSystems):
    spoke_at, told_at = datetime.now(UTC) - timedelta(seconds=60), datetime.now(UTC)
    listed = row("told", seconds_ago=0)
    body = {name: value for name, value in listed.items() if name != "last_seen"}
    said = {"key": b"told", "robot_id": "told", "body": body, "at": spoke_at}
    Replayed.objects.create(**said, sent_at=told_at, acknowledged_at=told_at)
    spoken = {"last_seen": spoke_at.astimezone().replace(tzinfo=None).isoformat()}

    two_systems.hold([listed, row("not told")], [listed | spoken, row("not told") | spoken])
    told = {(one.robot_id, one.field) for one in integrity.check(**two_systems.urls).unexplained}

    assert told == {("not told", "last_seen")}


def test_accuracy_fails_by_name_and_an_explained_difference_fails_nobody_until_it_changes(two_systems: TwoSystems):
    run = phase_run("canary_10")
    two_systems.hold([row("r", status="failed"), row("fine")], [row("r"), row("fine")])

    def judged():
        integrity.check(**two_systems.urls)
        return gates.accuracy_parts(evidence.compared(run, None), datetime.now(UTC))["rows"]

    assert judged().verdict is Verdict.FAIL
    assert judged().sentence == "1 of 2 rows differ: r"

    discrepancy = Discrepancy.objects.get()
    discrepancy.explain("legacy's status is from a test bench", "qa")
    discrepancy.save()
    assert judged().verdict is Verdict.PASS
    assert Comparison.objects.first().explained == 1

    put(two_systems.new, [row("r", status="success"), row("fine")])
    assert judged().verdict is Verdict.FAIL
    discrepancy.refresh_from_db()
    assert (discrepancy.state, discrepancy.explanation) == (State.CONFIRMED, "")


def test_consistency_is_kept_for_each_cohort(two_systems: TwoSystems):
    for number in range(4):
        heard_robot(f"Lekiwi_{number}", site="a")
    rows = [row(f"Lekiwi_{number}") for number in range(4)]
    two_systems.hold(rows, rows[1:])

    cohorts = integrity.check(**two_systems.urls).comparison.cohorts

    assert cohorts == [{"kind": "lekiwi", "site": "a", "rows": 4, "equal": 3}]


def test_a_system_that_cannot_be_read_is_a_failure_that_says_why_and_no_verdict(two_systems: TwoSystems, free_port):
    run = phase_run("canary_10")

    found = integrity.check(legacy_url=f"http://127.0.0.1:{free_port}", new_url=two_systems.new)

    assert found.failure.startswith("legacy could not be read")
    assert Comparison.objects.get().failure == found.failure
    assert gates.accuracy(evidence.compared(run, None), datetime.now(UTC)).verdict is Verdict.INCONCLUSIVE


def test_a_stopped_check_goes_on_where_it_was(two_systems: TwoSystems):
    names = [f"Lekiwi_{number}" for number in range(300)]
    two_systems.hold([row(name, status="failed") for name in names], [row(name) for name in names])
    run = IntegrityCheck.objects.create(started_at=datetime.now(UTC))
    asked = iter([False] * 40)

    stopped = integrity.check(**two_systems.urls, run=run, stopping=lambda: next(asked, True))

    run.refresh_from_db()
    assert stopped.stopped
    assert not Comparison.objects.exists()
    assert 0 < run.place < 256
    doubted = Discrepancy.objects.filter(state=State.PENDING).count()
    assert 0 < doubted < 300

    seen = []
    finished = integrity.check(**two_systems.urls, run=run, progress=lambda what, done, of: seen.append((what, done)))

    assert len(finished.unexplained) == 300
    assert Discrepancy.objects.filter(state=State.CONFIRMED).count() == 300
    assert max(done for what, done in seen if what == "comparing") < 250
