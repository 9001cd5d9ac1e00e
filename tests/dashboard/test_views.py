import gzip
import json
import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from heartbeat.api.schema import document, operations
from heartbeat.models import Heartbeat, Profile, Robot, Spelling
from migration import routing, voting
from migration.models import AuditEntry, Rollback, SyncState, TrafficShift, Vote
from migration.models.sync_state import THE_SYNC
from migration.rules.voting import Role
from tests.builders import heard_robot, person

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def page_of(user) -> Client:
    client = Client(headers=HTMX)
    client.force_login(user)
    return client


def said(response) -> str:
    return json.loads(response["HX-Trigger"])["cockpit:done"]["sentence"]


def test_somebody_without_a_login_is_sent_to_the_login_page():
    response = Client().get("/")

    assert response.status_code == 302
    assert response["Location"] == "/login/?next=/"


def test_a_form_without_a_login_takes_the_whole_page_to_the_login(canary):
    response = Client(headers=HTMX).post(reverse("dashboard:rollbacks"), {"target": "previous", "reason": "test"})

    assert response["HX-Redirect"].startswith("/login/")
    assert not Rollback.objects.exists()


def test_a_script_without_a_login_is_told_so():
    assert Client().get(reverse("dashboard:frame", args=["migration"])).status_code == 401


def test_the_login_page_names_the_six_roles():
    response = Client().get("/login/")

    for role in Role:
        assert role.words in response.content.decode()


def test_the_page_shows_the_phase_and_what_it_waits_for(canary):
    html = page_of(person()).get("/").content.decode()

    assert "Canary 10 %" in html
    assert "no gate has been judged yet" in html


def test_a_polled_frame_holds_the_whole_page(canary):
    frame = page_of(person()).get(reverse("dashboard:frame", args=["migration"])).json()

    assert frame["whole"] is True
    assert "Canary 10 %" in frame["html"]["bar-phase"]


def test_a_polled_frame_is_packed_for_whoever_takes_it(canary):
    for number in range(50):
        heard_robot(f"Lekiwi_{number}")

    response = page_of(person()).get(reverse("dashboard:frame", args=["fleet"]), headers={"accept-encoding": "gzip"})

    frame = json.loads(gzip.decompress(response.content))
    assert len(frame["columns"]["id"]) == 50
    assert len(response.content) < len(json.dumps(frame)) / 4


@pytest.mark.parametrize("view", ["moon", "migration/moon", "robot/" + "x" * 600])
def test_a_view_that_does_not_exist_is_not_found(canary, view):
    assert page_of(person()).get(f"/frames/{view}/").status_code == 404


def test_the_page_of_all_robots_counts_them_without_a_script(canary):
    heard_robot("Lekiwi_1")
    heard_robot("Lekiwi_2", last_side="legacy")

    html = page_of(person()).get("/fleet/").content.decode()

    assert '<span id="robots-total" data-testid="robots-total">2</span>' in html
    assert 'data-testid="count-online">2</b>' in html


def test_a_robots_page_says_what_new_knows_of_it_in_any_spelling(canary):
    robot = heard_robot("Lekiwi_B827EB5A", site="B")
    Robot.objects.update(last_v2_at=robot.last_seen_at, clock_offset_seconds=-0.04)
    name = {"key": robot.robot_id.encode(), "robot_key": robot.key, "robot_id": robot.robot_id}
    spelling = Spelling.objects.create(**name, first_at=robot.last_seen_at)
    profile = Profile.objects.create(digest=b"1", document={"motors": [[1, "arm"]], "channels": [[2, None]]})
    beat = {"call": "heartbeat", "role": "owner", "status": "idle", "message": "<b>", "motors": [41.23]}
    Heartbeat.objects.create(spelling=spelling, received_at=robot.last_seen_at, profile=profile, **beat)

    html = page_of(person()).get("/robots/LEKIWI_b827eb5a/").content.decode()

    assert '<h1 class="mono">Lekiwi_B827EB5A</h1>' in html
    assert f"bucket {robot.bucket} is " in html
    assert "41.2 <small>°C</small>" in html
    assert "0.04\u00a0s ahead" in html
    assert "POST /api/v2/heartbeat" in html
    assert "&lt;b&gt;" in html
    assert " style=" not in html


def test_a_robot_that_nobody_knows_is_404_on_a_page_that_waits_for_it(canary):
    response = page_of(person()).get("/robots/Lekiwi_9/")

    assert response.status_code == 404
    assert "No robot of this id has been heard or entered." in response.content.decode()


def test_a_viewer_sees_no_enabled_button_that_would_change_anything(canary):
    html = page_of(person(role=None)).get("/").content.decode()

    buttons = re.findall(r"<button[^>]*>", html)
    looks_only = ("data-order", "data-filter", "data-table", "data-theme-switch", "data-copy-from", "data-try-now")
    changing = [button for button in buttons if not any(word in button for word in (*looks_only, "data-close"))]
    enabled = [button for button in changing if 'aria-disabled="true"' not in button]
    assert {'data-testid="advance"', 'data-testid="open-rollback"'} <= set(
        re.findall(r'data-testid="[^"]*"', "".join(changing))
    )
    assert enabled == ['<button class="btn quiet" type="submit">'] * 2  # sign out, in the rail and on a phone
    assert set(re.findall(r'<form[^>]*action="([^"]*)"', html)) == {"/logout/"}
    assert "hx-post" not in html


def test_what_legacy_cannot_offer_is_said_before_a_rollback_is_confirmed(canary):
    SyncState.objects.create(pk=THE_SYNC, at=timezone.now(), unsayable=["dep_new"])

    html = page_of(person()).get("/").content.decode()

    dialog = html[html.index('data-testid="rollback-lacks"') : html.index('id="rollback-why"')]
    assert "Legacy cannot offer 1 deployment to the robots that go back" in dialog
    assert "dep_new" in dialog
    assert "no command is configured" in dialog


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/phase-advances/", {}),
        ("/rollbacks/", {"target": "emergency", "reason": "curious"}),
        ("/votes/", {"choice": "go"}),
        ("/latch-releases/", {"reason": "curious"}),
        ("/shifts/1/cancellations/", {"reason": "curious"}),
    ],
)
def test_a_viewer_gets_403_and_changes_nothing(canary, path, sent):
    before = routing.route_file().read().version

    response = page_of(person(role=None)).post(path, sent)

    assert response.status_code == 403
    assert routing.route_file().read().version == before
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("reason", ["", "   "])
def test_a_rollback_without_a_reason_is_refused_with_a_sentence(canary, reason):
    before = routing.route_file().read().version

    response = page_of(person(Role.ON_CALL)).post("/rollbacks/", {"target": "previous", "reason": reason})

    assert response.status_code == 422
    assert "Say why, in a few words." in response.content.decode()
    assert routing.route_file().read().version == before


def test_a_rollback_that_no_proxy_confirms_never_says_that_it_is_done(canary):
    response = page_of(person(Role.ON_CALL)).post(
        "/rollbacks/", {"target": "previous", "reason": "new is slow", "leaving": "canary_10"}
    )

    assert response.status_code == 200
    assert said(response).startswith("Asked 10\u00a0% → 0\u00a0%. Not confirmed: front-a")
    assert Rollback.objects.get().state == Rollback.State.PARTIAL
    assert routing.route_file().read().plan.percent == 0


def test_a_rollback_of_a_phase_that_the_fleet_has_left_moves_nothing(canary):
    before = routing.route_file().read().version

    response = page_of(person(Role.ON_CALL)).post(
        "/rollbacks/", {"target": "previous", "reason": "new is slow", "leaving": "rollout_25"}
    )

    assert response.status_code == 422
    assert "has left Rollout 25 % already" in response.content.decode()
    assert routing.route_file().read().version == before


def test_an_unknown_target_is_refused_with_a_sentence(canary):
    response = page_of(person(Role.ON_CALL)).post("/rollbacks/", {"target": "moon", "reason": "why not"})

    assert response.status_code == 422
    assert "Say where to" in response.content.decode()


def test_what_was_typed_is_kept_when_a_form_is_refused(canary):
    response = page_of(person(Role.ON_CALL)).post("/rollbacks/", {"target": "moon", "reason": "motor <faults>"})

    assert "motor &lt;faults&gt;</textarea>" in response.content.decode()


def test_a_vote_is_recorded_for_the_role(canary):
    response = page_of(person(Role.QA)).post("/votes/", {"choice": "go", "comment": "looked at 40 robots"})

    assert said(response) == "Your go is recorded."
    assert Vote.objects.get().role == Role.QA


def test_a_no_go_without_a_comment_is_refused_with_a_sentence(canary):
    response = page_of(person(Role.QA)).post("/votes/", {"choice": "no_go"})

    assert response.status_code == 422
    assert "A no-go needs a comment" in response.content.decode()
    assert not Vote.objects.exists()


def test_a_second_person_of_a_role_is_told_who_voted(canary):
    voting.cast(person(Role.QA, "first"), "go")

    response = page_of(person(Role.QA, "second")).post("/votes/", {"choice": "go"})

    assert response.status_code == 422
    assert "First already voted as QA" in response.content.decode()


def test_a_step_that_gates_lock_says_every_reason(canary):
    response = page_of(person(Role.MIGRATION_LEAD)).post("/phase-advances/")

    assert response.status_code == 422
    assert "Not yet to Rollout 25 %" in response.content.decode()
    assert not TrafficShift.objects.exists()


def test_an_unlatched_route_has_nothing_to_release(canary):
    response = page_of(person(Role.ON_CALL)).post("/latch-releases/", {"reason": "fixed"})

    assert response.status_code == 422


def test_a_personal_region_that_does_not_exist_is_not_found(canary):
    assert page_of(person()).get("/partials/moon/").status_code == 404


def test_the_api_page_shows_every_operation_schema_and_example_of_the_description():
    response = page_of(person()).get("/api-docs/")

    html = response.content.decode()
    described = document()
    shown = [
        f'<b class="mono">{method.upper()}</b> <span class="mono">{path}' for path, method, _ in operations(described)
    ]
    shown += [f'id="schema-{name}"' for name in described["components"]["schemas"]]
    assert [part for part in shown if part not in html] == []
    assert "motor faults at site B" in html
    assert "last_seen_after" in html
    assert " style=" not in html
    assert not re.search(r"<script(?![^>]*src=)", html)
    linked = set(re.findall(r'href="#(schema-[^"]+)"', html))
    assert linked <= set(re.findall(r'id="(schema-[^"]+)"', html))


def test_every_page_forbids_inline_scripts_and_styles(canary):
    response = page_of(person()).get("/")

    assert "script-src 'self'" in response["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*(src=|application/json))", response.content.decode())
    assert " style=" not in response.content.decode()
