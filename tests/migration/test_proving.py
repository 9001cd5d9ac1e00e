"""What the last phase and the report ask of other parts."""

from datetime import UTC, datetime, timedelta

import pytest

from migration import proving
from tests.builders import phase_run, synced

pytestmark = pytest.mark.django_db


def test_nothing_is_proven_before_the_last_phase():
    phase_run("full_100")

    assert proving.warm_since() is None
    assert proving.success_report() is None
    assert proving.legacy_is_decommissioned() is None


def test_legacy_is_warm_since_the_last_phase_began_or_since_it_lost_its_memory():
    run = phase_run("decommission")
    synced()
    assert proving.warm_since() == run.started_at

    lost = run.started_at + timedelta(minutes=5)
    synced(lost_memory_at=lost)
    assert proving.warm_since() == lost

    synced(legacy_silent_since=datetime.now(UTC))
    assert proving.warm_since() is None


def test_the_report_names_what_lacks_evidence_and_fails_for_what_a_robot_felt():
    phase_run("decommission")
    proof = proving.success_report()
    assert proof is not None
    assert proof.passed
    assert "inconclusive: " in proof.sentence

    from migration.reporting import stated

    stated.register("teleop", lambda: (False, "99 % of 100 robots"))
    try:
        broken = proving.success_report()
    finally:
        stated.register("teleop", proving.operation_is_accurate)
    assert broken is not None
    assert not broken.passed
    assert "Teleoperation" in broken.sentence
