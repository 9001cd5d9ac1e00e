"""The REST calls, as scripts and the autopilot make them."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from rest_framework.test import APIClient

from heartbeat.api import examples
from migration.api.examples import EXAMPLES
from migration.models import AuditEntry, PhaseRun, Rollback, TrafficShift, Vote
from migration.rules.voting import Role
from tests.builders import person
from tests.heartbeat.api.conforming import outline
from tests.migration.answering import answering
from tests.migration.installation import door, in_phase, installation  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("installation")]

API = "/api/v2/migration"


def as_role(role: Role | None) -> APIClient:
    client = APIClient()
    client.force_login(person(role))
    return client


@pytest.fixture
def lead() -> APIClient:
    return as_role(Role.MIGRATION_LEAD)


def test_a_stranger_is_asked_to_log_in():
    assert APIClient().get(API).status_code in (401, 403)


def test_a_viewer_sees_the_state_and_may_change_nothing(installation):
    in_phase(installation, "canary_10")
    viewer = as_role(None)

    assert viewer.get(API).json()["phase"]["slug"] == "canary_10"
    for path in ("advance", "votes", "rollbacks", "latch/release"):
        assert viewer.post(f"{API}/{path}", {"reason": "x", "choice": "go"}, format="json").status_code == 403
    assert not Vote.objects.exists()
    assert installation.file.read().plan.percent == 10


def test_a_tester_may_vote_but_neither_step_forward_nor_roll_back(installation):
    in_phase(installation, "canary_10")
    qa = as_role(Role.QA)

    assert qa.post(f"{API}/votes", {"choice": "go"}, format="json").status_code == 201
    assert qa.post(f"{API}/advance", {}, format="json").status_code == 403
    assert qa.post(f"{API}/rollbacks", {"reason": "x"}, format="json").status_code == 403


def test_a_step_that_waits_is_a_409_with_every_reason(installation, lead):
    in_phase(installation, "canary_10")

    answer = lead.post(f"{API}/advance", {}, format="json")

    assert answer.status_code == 409
    assert answer["content-type"] == "application/problem+json"
    told = [reason.partition(":")[0] for reason in answer.json()["reasons"]]
    assert {"Duration", "Performance", "Accuracy", "Monitoring", "Consensus"} <= set(told)
    assert not TrafficShift.objects.exists()


def test_a_rollback_answers_with_what_was_measured_and_is_recorded(installation, lead):
    in_phase(installation, "canary_10")

    answer = lead.post(f"{API}/rollbacks", {"reason": "motor faults"}, format="json")

    told = answer.json()
    assert (answer.status_code, told["state"], told["recorded"], told["to_percent"]) == (201, "observed", True, 0)
    assert told["seconds"] > 0
    assert Rollback.objects.get().actor == "migration_lead"
    assert PhaseRun.objects.get(state="active").slug == "shadow"
    assert lead.get(f"{API}/rollbacks").json()["results"][0]["reason"] == "motor faults"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("rollbacks", {}, "reason"),
        ("rollbacks", {"reason": "   "}, "reason"),
        ("rollbacks", {"reason": "x", "target": "mars"}, "target"),
        ("votes", {}, "choice"),
        ("votes", {"choice": "maybe"}, "choice"),
        ("latch/release", {}, "reason"),
    ],
)
def test_bad_input_names_the_field_and_changes_nothing(installation, lead, path, body, field):
    in_phase(installation, "canary_10")
    before = installation.file.read()

    answer = lead.post(f"{API}/{path}", body, format="json")

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert installation.file.read() == before
    assert not Vote.objects.exists()


def test_releasing_without_a_latch_is_a_409(installation, lead):
    in_phase(installation, "canary_10")

    assert lead.post(f"{API}/latch/release", {"reason": "x"}, format="json").json()["detail"] == "nothing is latched"


def test_the_status_never_shows_a_wish_as_a_fact(installation, lead):
    in_phase(installation, "canary_10")
    installation.envoy.stop()
    try:
        split = lead.get(API).json()["split"]
    finally:
        installation.envoy.start()

    assert (split["asked"], split["acknowledged"], split["observed"], split["in_line"]) == (10, None, None, False)
    assert split["sentence"].startswith("front-a does not run route")


def test_health_is_503_with_the_reason_when_a_dependency_is_down(installation, settings):
    assert APIClient().get("/api/v2/health").json()["dependencies"]["proxies"]["status"] == "healthy"
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    answer = APIClient().get("/api/v2/health")

    assert answer.status_code == 503
    assert [reason.partition(":")[0] for reason in answer.json()["reasons"]] == ["redis"]


def test_metrics_tell_the_split_the_moves_and_both_systems(installation, lead):
    in_phase(installation, "canary_10")
    lead.post(f"{API}/rollbacks", {"reason": "motor faults"}, format="json")

    text = APIClient().get("/metrics").content.decode()

    assert 'lekiwi_migration_split_percent{mark="asked"} 0.0' in text
    assert 'lekiwi_migration_rollbacks_total{state="observed",trigger="operator"} 1.0' in text
    assert "lekiwi_ingest_up" in text
    assert "lekiwi_heartbeat_history_default_rows 0.0" in text
    assert "django_http_requests_total_by_method_total" in text


def test_what_the_ingest_counts_is_told_once_and_is_the_ingests(installation, settings):
    name = b"lekiwi_heartbeat_duplicates_total"
    counted = b"# HELP %b Stored before\n# TYPE %b counter\n%b 7.0\n" % (name, name, name)
    with answering({"/metrics": (200, counted)}) as url:
        settings.INGEST_PORT = int(url.rpartition(":")[2])

        text = APIClient().get("/metrics").content.decode()

    told = [line for line in text.splitlines() if line.startswith("lekiwi_heartbeat_duplicates_total")]
    assert told == ["lekiwi_heartbeat_duplicates_total 7.0"]
    helps = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP")]
    twice = sorted({name for name in helps if helps.count(name) > 1})
    assert twice == [], "Prometheus keeps the first of two, and warns"


def test_the_examples_in_the_description_have_what_the_answers_have(installation, lead):
    in_phase(installation, "canary_10")
    calls = [
        ("GET", "/api/v2/health", "200"),
        ("POST", f"{API}/votes", "201"),
        ("POST", f"{API}/advance", "409"),
        ("GET", f"{API}/shifts", "200"),
        ("GET", f"{API}/shifts/{{id}}", "200"),
        ("POST", f"{API}/shifts/{{id}}/cancel", "200"),
        ("POST", f"{API}/rollbacks", "201"),
        ("GET", f"{API}/rollbacks", "200"),
        ("GET", f"{API}/audit", "200"),
    ]
    known = examples.read(EXAMPLES)

    assert outline(lead.get(API).json()) == outline(known[f"GET {API}"]["200"])
    shift = waiting_shift(installation.file.read().version)
    for method, path, status in calls:
        example = known[f"{method} {path}"]
        answer = lead.generic(method, path.replace("{id}", str(shift.pk)), *_json(example.get("request")))
        assert str(answer.status_code) == status, (path, answer.content)
        assert outline(answer.json()) == outline(example[status]), path


def _json(body):
    return () if body is None else (json.dumps(body), "application/json")


def waiting_shift(version):
    now = datetime.now(UTC)
    return TrafficShift.objects.create(
        based_on_version=version,
        from_phase="canary_10",
        to_phase="rollout_25",
        from_percent=10,
        to_percent=25,
        state="requested",
        requested_by="lead",
        reason="all gates pass",
        requested_at=now,
        deadline_at=now + timedelta(seconds=30),
    )


def test_django_admin_shows_history_and_lets_nobody_change_it(installation, client, admin_user):
    in_phase(installation, "canary_10")
    client.force_login(admin_user)

    for model in ("phaserun", "trafficshift", "rollback", "vote", "auditentry", "gateresult", "pin", "alert"):
        assert client.get(f"/admin/migration/{model}/").status_code == 200
        assert model == "vote" or client.get(f"/admin/migration/{model}/add/").status_code == 403


def test_django_admin_records_a_vote_through_the_same_use_case(installation, client):
    in_phase(installation, "canary_10")
    qa = person(Role.QA)
    qa.is_staff = True
    qa.user_permissions.add(Permission.objects.get(codename="view_vote"))
    qa.save()
    client.force_login(qa)

    client.post("/admin/migration/vote/add/", {"choice": "go", "comment": "looked at 40 robots"})

    assert (Vote.objects.get().role, AuditEntry.objects.get().action) == ("qa", "vote")


def test_the_way_forward_is_refused_to_a_viewer_and_open_to_who_may(installation, lead):
    in_phase(installation, "canary_10")
    viewer = as_role(None)
    paths = ("pause", "resume", "shorten", "ramps/begin", "ramps/cancel", "ramps/complete", "freezes/1/lift")
    for path in (*paths, "presence", "pins", "freezes", "proposals/1/cancel"):
        assert viewer.post(f"{API}/{path}", {"reason": "x"}, format="json").status_code == 403, path
    assert viewer.patch(f"{API}/phases/canary_10/settings", {}, format="json").status_code == 403

    assert lead.post(f"{API}/pause", {"reason": "lunch"}, format="json").json()["paused_by"] == "migration_lead"
    assert "paused by migration_lead: lunch" in lead.post(f"{API}/advance", {}, format="json").json()["reasons"]
    assert lead.post(f"{API}/resume", {"reason": "fed"}, format="json").status_code == 200
    changed = {"changes": {"quorum": 9}, "reason": "x"}
    answer = lead.patch(f"{API}/phases/canary_10/settings", changed, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "changes.quorum")
    assert lead.get(f"{API}/dry-run?to=moon").status_code == 400
    assert lead.get(f"{API}/dry-run?to=shadow").json()["direction"] == "back"
    freeze = lead.post(f"{API}/freezes", {"reason": "audit", "daily_at": "06:00"}, format="json")
    assert freeze.status_code == 201, freeze.content
    assert [row["reason"] for row in lead.get(f"{API}/freezes").json()] == ["audit"]
