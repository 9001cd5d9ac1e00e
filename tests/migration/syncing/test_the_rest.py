"""Deployments both ways, addresses, the older contract, throttling, and what a rebuild keeps."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import httpx
import pytest

from heartbeat.deployments import keep_deployment
from heartbeat.models import Deployment, Robot
from migration.deployments import copied, listed, tell_legacy
from migration.models import DeploymentMapping, MatchEntry, QuarantinedRow, SyncState
from migration.syncing import tuning
from migration.syncing.fleet import match_by_hand, take_in
from migration.syncing.running import SYNC, Sync
from migration.syncing.way_back import way_back
from teleop.models import LegacyClaim
from tests.builders import heard_robot
from tests.databases import own_database
from tests.migration.syncing.conftest import ROOT, Legacy, row

pytestmark = pytest.mark.django_db


def rolled_back_at_new(target: dict) -> dict:
    made = {**target, "id": "dep_new", "is_rollback": True, "timestamp": datetime.now().isoformat()}
    made["message"] = f"Rollback to {target['version']} ({target['id']})"
    keep_deployment(made)
    return made


def test_a_rollback_made_at_new_is_told_to_legacy_once_and_does_not_come_back(legacy, sync):
    legacy.hold({})
    sync.look()
    rolled_back_at_new(listed(sync.source)[-1])
    before = len(listed(sync.source))

    for _ in range(2):
        documents = listed(sync.source)
        copied(sync.source, documents)
        assert tell_legacy(sync.source, documents) == []

    assert len(listed(sync.source)) == before + 1
    mapping = DeploymentMapping.objects.get()
    assert mapping.new_id == "dep_new"
    assert not Deployment.objects.filter(id=mapping.legacy_id).exists()


def test_a_question_whose_answer_was_lost_is_not_asked_twice(legacy, sync):
    legacy.hold({})
    sync.look()
    target = listed(sync.source)[-1]
    rolled_back_at_new(target)
    DeploymentMapping.objects.create(new_id="dep_new", target_id=target["id"], asked_at=datetime.now(UTC))
    made = sync.source.roll_back(target["id"])["deployment_id"]
    before = len(listed(sync.source))

    tell_legacy(sync.source, listed(sync.source))

    assert DeploymentMapping.objects.get().legacy_id == made
    assert len(listed(sync.source)) == before


def test_a_bad_deployment_waits_and_the_others_are_taken_over(legacy, sync):
    good = {**legacy.deployments[0], "id": "dep_good"}
    bad = {**legacy.deployments[0], "id": "dep_bad", "version": 7}
    legacy.hold({}, [good, bad])

    sync.look()

    assert list(Deployment.objects.values_list("id", flat=True)) == ["dep_good"]
    assert QuarantinedRow.objects.get(source="deployments").reason == "version is not text"
    legacy.hold({})


def test_both_systems_offer_and_serve_the_same_after_a_look(legacy, sync):
    legacy.hold({})

    sync.look()

    for document in listed(sync.source):
        stored = Deployment.objects.get(id=document["id"])
        assert stored.document == document
        served = httpx.get(f"{legacy.url}/api/download/{document['id']}")
        assert bool(stored.package_sha256) == (served.status_code == 200)


def test_the_list_by_address_is_matched_and_its_belief_is_kept_beside(legacy, sync):
    legacy.hold({"Lekiwi_B827EB5A": row("Lekiwi_B827EB5A")})

    sync.look()

    entry = MatchEntry.objects.get()
    assert (entry.robot_id, entry.how, entry.kind) == ("Lekiwi_B827EB5A", "hostname", "lekiwi")
    assert entry.teleop_operation is False
    claim = LegacyClaim.objects.get()
    assert (claim.robot_id, claim.operated, claim.field) == ("Lekiwi_B827EB5A", False, "teleop_operation")


def test_an_address_that_two_robots_fit_waits_until_somebody_matches_it_by_hand(db):
    heard_robot("Lekiwi_0000AAAA")
    heard_robot("Lekiwi_1111AAAA")
    listed_fleet = [{"ip": "192.168.88.9", "hostname": "lekiwi_AAAA", "type": "lekiwi"}]
    now = datetime.now(UTC)

    assert take_in(listed_fleet, now) == 0
    assert QuarantinedRow.objects.get().candidates == ["Lekiwi_0000AAAA", "Lekiwi_1111AAAA"]
    match_by_hand("192.168.88.9", "lekiwi_1111aaaa", actor=SYNC, reason="seen at the bench")

    assert take_in(listed_fleet, now) == 1
    entry = MatchEntry.objects.get()
    assert (entry.robot_id, entry.how, entry.reason) == ("Lekiwi_1111AAAA", "by hand", "seen at the bench")
    assert QuarantinedRow.objects.get().settled_at is not None


def test_a_kind_that_only_the_subnet_tells_reaches_the_robot(db):
    heard_robot("raspberrypi", kind_by_id="")
    take_in([{"ip": "192.168.50.4", "hostname": "raspberrypi"}], datetime.now(UTC))

    assert Robot.objects.get().kind == "xle"


def test_the_older_contract_is_found_out_and_read(tmp_path, settings, legacy):
    older = Legacy(tmp_path, "--contract", "older")
    settings.LEGACY_URL = older.url
    sync = Sync()
    try:
        older.hold({"Lekiwi_1": row("Lekiwi_1", status="deploying")})
        sync.look()
    finally:
        sync.close()
        older.close()

    assert (Robot.objects.get().status, SyncState.objects.get().contract) == ("deploying", "older")
    assert way_back().cause == "legacy answers by its older contract, which cannot be told what new heard"


def test_a_pause_stops_asking_and_says_so(legacy, sync):
    sync.look()
    calls = SyncState.objects.get().calls
    tuning.tune({"paused": True}, actor=SYNC)

    allowed = sync.look()

    state = SyncState.objects.get()
    assert (allowed.because, state.throttled_by, state.calls) == (*("paused by an operator",) * 2, calls)


REBUILD = """
import django; django.setup()
from datetime import UTC, datetime
from heartbeat.models import LegacyRow, Robot
from heartbeat.rebuilding import rebuild_state
from migration.models import SyncedRow
from migration.rules.mapping import SourceRow
from migration.rules.plans import RoutePlan
from migration.syncing.applying import Candidate, apply
now = datetime.now(UTC)
said = {"status": "idle", "version": "v1", "deployment_id": None, "message": "m", "health": {"a": 1}}
row = SourceRow("Lekiwi_1", now, said, {"current_version": "v1", "group": "all"})
apply([Candidate(row, {}, b"d")], RoutePlan.preparation(), read_at=now, now=now)
leave = ("id", "_state")
state = lambda: [{k: v for k, v in vars(m.objects.get()).items() if k not in leave} for m in (Robot, LegacyRow)]
before = state()
rebuild_state()
assert state() == before, (before, state())
print("same")
"""


@pytest.fixture(scope="module")
def database_url() -> str:
    """A database that other processes see."""
    return own_database(os.environ["DATABASE_URL"])


def test_a_robot_that_never_spoke_to_new_survives_a_rebuild_of_the_state(database_url):
    env = {**os.environ, "DATABASE_URL": database_url}

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", REBUILD], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )

    assert done.stdout.strip() == "same", done.stderr[-2000:]


def test_the_process_syncs_under_a_lease_and_is_taken_over_when_it_is_killed(legacy, database_url):
    url = database_url
    env = {**os.environ, "DATABASE_URL": url, "LEGACY_URL": legacy.url, "LOG_LEVEL": "ERROR"}
    env |= {"ENVOY_STATE_DIR": str(_envoy_state())}
    legacy.hold({"Lekiwi_3": row("Lekiwi_3")})
    command = [sys.executable, "-W", "ignore", "manage.py", "sync_legacy_to_new", "--continuous", "--interval", "0.1"]
    first = subprocess.Popen(command, cwd=ROOT, env=env)
    second = None
    try:
        _until(url, "SELECT count(*) = 1 FROM heartbeat_robot WHERE robot_id = 'Lekiwi_3'")
        _until(url, "SELECT now() - renewed_at < interval '2 s' FROM heartbeat_lease WHERE name = 'sync'")
        second = subprocess.Popen(command, cwd=ROOT, env=env)
        first.kill()
        legacy.hold({"Lekiwi_2": row("Lekiwi_2")})
        _until(url, "SELECT count(*) = 1 FROM heartbeat_robot WHERE robot_id = 'Lekiwi_2'")
        assert _ask(url, "SELECT term FROM heartbeat_lease WHERE name = 'sync'") == 2
    finally:
        for process in filter(None, (first, second)):
            process.kill()
            process.wait()


def _envoy_state():
    from django.conf import settings

    return settings.ENVOY_STATE_DIR


def _ask(url: str, query: str):
    import psycopg

    with psycopg.connect(url) as connection:
        found = connection.execute(query).fetchone()
        return found[0] if found else None


def _until(url: str, query: str) -> None:
    from tests.heartbeat.running import eventually

    eventually(lambda: bool(_ask(url, query)), lambda: query)
