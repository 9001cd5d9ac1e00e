"""REST of the checklist, backups and contacts: what is answered, what is refused, who may."""

import json
from datetime import UTC, datetime

import pytest
from rest_framework.test import APIClient

from heartbeat.api import examples
from migration.actors import Actor
from migration.api.examples import EXAMPLES
from migration.checklist import running
from migration.models import Channel, Contact, RotaShift
from migration.rules.voting import Role
from tests.builders import person, phase_run, verified_backup
from tests.heartbeat.api.conforming import outline

pytestmark = pytest.mark.django_db

API = "/api/v2/migration"
CHANGES = [
    ("post", "checks/runs"),
    ("post", "checks/training/signature"),
    ("post", "checks/training/signature/withdraw"),
    ("post", "backups"),
    ("post", "backups/1/verify"),
    ("post", "contacts"),
    ("put", "contacts/1"),
    ("delete", "contacts/1"),
    ("put", "contacts/channels/status"),
    ("post", "contacts/rota"),
    ("delete", "contacts/rota/1"),
    ("put", "contacts/escalation"),
]


def as_role(role):
    client = APIClient()
    client.force_login(person(role))
    return client


@pytest.fixture
def lead():
    return as_role(Role.MIGRATION_LEAD)


def test_a_viewer_reads_all_of_it_and_changes_none():
    viewer = as_role(None)

    for path in ("checks", "checks/python", "backups", "contacts"):
        assert viewer.get(f"{API}/{path}").status_code == 200, path
    for method, path in CHANGES:
        assert getattr(viewer, method)(f"{API}/{path}", {}, format="json").status_code == 403, path
    assert not Contact.objects.exists()


@pytest.mark.parametrize(
    ("call", "body", "status", "field"),
    [
        ("post checks/runs", {"names": ["magic"]}, 400, "names"),
        ("post checks/training/signature", {}, 400, "comment"),
        ("post checks/training/signature/withdraw", {"reason": " "}, 400, "reason"),
        ("post backups", {"kind": "moon", "reason": "x"}, 400, "kind"),
        ("post contacts", {"duty": "qa", "name": "Ada"}, 400, "telephone"),
        ("post contacts", {"duty": "king", "name": "Ada", "telephone": "1"}, 400, "duty"),
        ("put contacts/channels/status", {"name": "x"}, 400, "address"),
        ("put contacts/escalation", {"steps": []}, 400, "steps"),
        ("post checks/weather/signature", {"comment": "x"}, 404, None),
        ("put contacts/channels/moon", {"name": "x", "address": "y"}, 404, None),
        ("post checks/training/signature/withdraw", {"reason": "x"}, 409, None),
        ("post checks/runbooks/signature", {"comment": "x"}, 403, None),
    ],
)
def test_bad_input_is_a_problem_that_names_the_field(lead, call, body, status, field):
    method, path = call.split()
    answer = getattr(lead, method)(f"{API}/{path}", body, format="json")

    assert (answer.status_code, answer["content-type"]) == (status, "application/problem+json"), answer.content
    if field:
        assert any(error["field"].startswith(field) for error in answer.json()["errors"]), answer.content


def test_without_a_worker_checks_run_at_once_and_a_backup_is_refused_with_the_command(lead, no_broker):
    asked = lead.post(f"{API}/checks/runs", {"names": ["python"]}, format="json")
    assert (asked.status_code, asked.json()) == (202, {"asked": ["python"], "run_here": True})
    assert lead.get(f"{API}/checks/python").json()[0]["verdict"] == "pass"

    refused = lead.post(f"{API}/backups", {"reason": "x"}, format="json")

    assert refused.status_code == 409
    assert "manage.py back_up on a host of the control plane does it at once" in refused.json()["detail"]


@pytest.fixture
def no_broker():
    """Celery with a broker that nobody runs."""
    from config.celery import app

    before = app.conf.broker_url
    app.conf.broker_url = app.conf.broker_write_url = "redis://127.0.0.1:1/0"
    app._pool = None
    app.amqp._producer_pool = None
    yield
    app.conf.broker_url = app.conf.broker_write_url = before
    app._pool = None
    app.amqp._producer_pool = None


def test_the_examples_in_the_description_have_what_the_answers_have(lead, tmp_path):
    phase_run("preparation")
    running.run(["python"], actor=Actor("lead"))
    kept = verified_backup(tmp_path, contents={"tables": {"a": {"rows": 2, "digest": "1"}}})
    now = datetime.now(UTC).isoformat()
    answers = {}

    def ask(place, **names):
        method, _, path = place.partition(" ")
        body = examples.read(EXAMPLES.with_name("examples_checklist.json"))[place].get("request")
        body = {**body, **{key: value for key, value in names.items() if key in body}} if body else body
        path = path.format(**names)
        answer = lead.generic(method, path, *((json.dumps(body), "application/json") if body else ()))
        answers[place] = answer
        return answer

    ask(f"GET {API}/checks")
    ask(f"POST {API}/checks/runs")
    ask(f"GET {API}/checks/{{name}}", name="python")
    ask(f"POST {API}/checks/{{subject}}/signature", subject="training")
    ask(f"POST {API}/checks/{{subject}}/signature/withdraw", subject="training")
    ask(f"GET {API}/backups")
    ask(f"POST {API}/backups")
    ask(f"GET {API}/backups/{{id}}", id=kept.pk)
    ask(f"POST {API}/backups/{{id}}/verify", id=kept.pk)
    made = ask(f"POST {API}/contacts").json()["id"]
    ask(f"PUT {API}/contacts/{{id}}", id=made)
    ask(f"PUT {API}/contacts/channels/{{purpose}}", purpose="status")
    ask(f"POST {API}/contacts/rota", contact=made, starts_at=now)
    ask(f"PUT {API}/contacts/escalation")
    ask(f"GET {API}/contacts")

    assert (Channel.objects.count(), RotaShift.objects.count()) == (1, 1)
    known = examples.read(EXAMPLES.with_name("examples_checklist.json"))
    assert set(known) == set(answers)
    for place, answer in answers.items():
        (status,) = set(known[place]) - {"request"}
        assert str(answer.status_code) == status, (place, answer.content)
        assert outline(answer.json()) == outline(known[place][status]), place
