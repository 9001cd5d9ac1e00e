"""The pages of the checklist, backups and contacts: who sees what, what a form does, what is refused."""

import re

import pytest
from django.test import Client

from migration.actors import Actor
from migration.checklist import running
from migration.models import Backup, Contact, EscalationStep, SignOff
from migration.rules.voting import Role
from tests.builders import person, verified_backup

pytestmark = pytest.mark.django_db

PAGES = ("checklist", "backups", "contacts")


def signed_in(role):
    client = Client(headers={"hx-request": "true"})
    client.force_login(person(role))
    return client


def enabled_buttons(html):
    main = html.partition('id="main"')[2].partition("</main>")[0]
    return re.findall(r"<button(?![^>]*aria-disabled)[^>]*(?:hx-post|type=\"submit\"|popovertarget)[^>]*>", main)


def test_a_viewer_sees_everything_and_no_enabled_button(canary, tmp_path):
    running.run(["python"], actor=Actor("lead"))
    verified_backup(tmp_path)
    viewer = signed_in(None)

    for page in PAGES:
        html = viewer.get(f"/migration/{page}/").content.decode()
        assert enabled_buttons(html) == [], page
        assert 'href="/migration/contacts/"' in html
    for path in ("checklist/runs/", "checklist/training/signature/", "backups/make/", "contacts/contact/"):
        assert viewer.post(f"/migration/{path}", {"reason": "x"}).status_code == 403, path


def test_a_point_is_signed_and_withdrawn_on_the_page(canary):
    qa = signed_in(Role.QA)
    path = "/migration/checklist/runbooks"

    empty = qa.post(f"{path}/signature/", {"reason": " "})
    assert empty.status_code == 422
    assert "Say what you have made sure of" in empty.content.decode()
    done = qa.post(f"{path}/signature/", {"reason": "read on Monday"})

    assert "Signed as QA." in done["HX-Trigger"]
    assert "qa: read on Monday" in done.content.decode()
    assert qa.post("/migration/checklist/training/signature/", {"reason": "x"}).status_code == 422
    assert qa.post(f"{path}/withdrawal/", {"reason": "new ones"}).status_code == 200
    assert SignOff.objects.get().withdrawn_because == "new ones"


def test_a_page_says_what_fails_and_how_to_mend_it(canary, settings):
    settings.DEBUG = True
    settings.PRECHECKS_WAIVED = "magic=x"
    running.run(["debug"], actor=Actor("lead"))

    html = signed_in(Role.QA).get("/migration/checklist/points/").content.decode()

    assert html.index("Debugging is off") < html.index("Connection pools fit the database"), "failures first"
    assert "Unset DEBUG" in html
    assert "which is no check" in html


def test_backups_show_what_failed_and_why(canary, tmp_path):
    verified_backup(tmp_path, contents={"tables": {"a": {"rows": 1234, "digest": "1"}}}, left_out=["x"])
    verified_backup(tmp_path, state="failed", failure="no room on the disk")

    html = signed_in(Role.INFRASTRUCTURE).get("/migration/backups/").content.decode()

    assert "1,234" in html
    assert "no room on the disk" in html
    assert "without 1 days of raw heartbeats" in html
    assert "could be gone back to" in html
    assert signed_in(Role.ON_CALL).post("/migration/backups/make/", {"reason": " "}).status_code == 422
    assert Backup.objects.count() == 2


def test_contacts_are_entered_and_removed_and_a_wrong_one_is_refused_where_it_was_typed(canary):
    lead = signed_in(Role.MIGRATION_LEAD)

    wrong = lead.post("/migration/contacts/contact/", {"duty": "qa", "name": "Ada"})
    assert wrong.status_code == 422
    assert "telephone number or an e-mail address" in wrong.content.decode()
    assert 'value="Ada"' in wrong.content.decode()
    lead.post("/migration/contacts/contact/", {"duty": "on_call", "name": "Ada", "telephone": "+00 1"})
    ada = Contact.objects.get()
    times = {"starts_at": "2026-01-01 00:00", "ends_at": "2099-01-01 00:00"}
    assert lead.post("/migration/contacts/rota/", {"contact": ada.pk, **times}).status_code == 200
    for name in ("war room", "another"):
        given = {"purpose": "war_room", "name": name, "address": "room 1"}
        assert lead.post("/migration/contacts/channel/", given).status_code == 200

    html = lead.get("/migration/contacts/").content.decode()
    assert "On call now: <b>Ada</b>" in html
    assert "another · room 1" in html
    lead.post(f"/migration/contacts/contact/{ada.pk}/remove/")
    assert not Contact.objects.exists()


def test_the_escalation_path_is_replaced_on_its_page_and_a_wrong_step_keeps_what_was_typed(canary):
    lead, viewer = signed_in(Role.MIGRATION_LEAD), signed_in(None)
    duties = ["on_call", "team_lead", "cto"]

    wrong = lead.post("/migration/contacts/path/", {"minutes": ["0", "soon", ""], "step_duty": duties})
    assert wrong.status_code == 422
    assert "&#x27;soon&#x27; is no number of minutes" in wrong.content.decode()
    assert 'value="soon"' in wrong.content.decode()
    twice = lead.post("/migration/contacts/path/", {"minutes": ["5", "5"], "step_duty": duties[:2]})
    assert twice.status_code == 422
    assert not EscalationStep.objects.exists()

    done = lead.post("/migration/contacts/path/", {"minutes": ["0", "7", ""], "step_duty": duties})
    assert done.status_code == 200, done.content.decode()[-600:]
    assert [(step.after_minutes, step.duty) for step in EscalationStep.objects.all()] == [
        (0, "on_call"),
        (7, "team_lead"),
    ]
    assert viewer.post("/migration/contacts/path/", {"minutes": ["1"], "step_duty": ["cto"]}).status_code == 403


def test_the_admin_changes_contacts_by_the_same_use_case(canary, admin_client):
    given = {"duty": "qa", "name": "Ada", "telephone": "+00 1", "email": "", "note": "", "login": ""}
    answer = admin_client.post("/admin/migration/contact/add/", given)

    assert answer.status_code == 302, answer.content.decode()[-3000:]
    assert Contact.objects.get().name == "Ada"
    assert admin_client.get("/admin/migration/backup/add/").status_code == 403
