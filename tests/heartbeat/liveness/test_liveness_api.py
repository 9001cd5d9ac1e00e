"""Events, incidents and maintenance windows over REST."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from heartbeat.models import Incident, LivenessEvent, MaintenanceWindow, RobotLiveness
from heartbeat.rules.identity import key_of
from migration.models import AuditEntry
from migration.rules.voting import Role
from tests.builders import person
from tests.heartbeat.api.conftest import reader, robot  # noqa: F401
from tests.heartbeat.liveness.world import T0, at

pytestmark = pytest.mark.django_db
WINDOWS = "/api/v2/maintenance-windows"


@pytest.fixture
def on_call(settings: Any, tmp_path: Any) -> Client:
    """Somebody who may plan a silence."""
    settings.STATE_DIR = tmp_path
    client = Client()
    client.force_login(person(Role.ON_CALL))
    return client


def send(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = client.generic(method, path, json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


def _incident(**columns: Any) -> Incident:
    usual = {"level": "offline", "opened_at": T0, "last_joined_at": T0, "robots": 1}
    return Incident.objects.create(**{**usual, **columns})


def _event(number: int, **columns: Any) -> LivenessEvent:
    usual = {"from_state": "online", "to_state": "late", "became_at": at(number), "noticed_at": at(number)}
    return LivenessEvent.objects.create(
        robot_key=key_of("Lekiwi_5A3F"), robot_id="Lekiwi_5A3F", number=number, **{**usual, **columns}
    )


def test_the_events_of_a_robot_are_listed_newest_first_and_can_be_narrowed(reader: Client) -> None:
    robot()
    incident = _incident(site="b")
    _event(1)
    _event(2, from_state="late", to_state="offline", incident=incident, reason="silent for more than 152.0 s")

    listed = reader.get("/api/v2/robots/lekiwi_5a3f/events").json()["results"]
    offline = reader.get("/api/v2/robots/lekiwi_5a3f/events", {"to_state": "offline"}).json()["results"]

    assert [event["number"] for event in listed] == [2, 1]
    assert [(event["incident"], event["reason"]) for event in offline] == [
        (incident.pk, "silent for more than 152.0 s")
    ]
    assert reader.get("/api/v2/robots/nobody/events").status_code == 404


def test_open_incidents_are_found_by_site_and_one_shows_its_robots_and_notices(reader: Client) -> None:
    _incident(site="a", closed_at=at(9))
    incident = _incident(site="a")
    _incident(site="b")
    incident.members.create(robot_key=b"r1", robot_id="R1", level="offline", joined_at=T0)
    incident.notices.create(route="offline", text="1 robot at site a is offline: R1", created_at=T0)

    (found,) = reader.get("/api/v2/incidents", {"site": "a", "open": "true"}).json()["results"]
    shown = reader.get(f"/api/v2/incidents/{found['id']}").json()

    assert found["id"] == incident.pk
    assert [member["robot_id"] for member in shown["members"]] == ["R1"]
    assert [(notice["route"], notice["sent_at"]) for notice in shown["notices"]] == [("offline", None)]
    assert reader.get("/api/v2/incidents/99999999999999999999").status_code == 404


def test_a_pause_is_planned_edited_and_ended_and_each_is_audited(on_call: Client) -> None:
    status, pause = send(on_call, "POST", WINDOWS, {"robots": ["Lekiwi_1"], "reason": "arm taken off"})
    assert (status, pause["scope"], pause["ends_at"], pause["in_force"]) == (201, "robots", None, True)

    status, edited = send(on_call, "PATCH", f"{WINDOWS}/{pause['id']}", {"reason": "both arms taken off"})
    assert (status, edited["reason"], edited["ends_at"], edited["in_force"]) == (200, "both arms taken off", None, True)

    status, ended = send(on_call, "POST", f"{WINDOWS}/{pause['id']}/end")
    assert (status, ended["in_force"], ended["ended_by"]) == (200, False, "on_call")
    assert send(on_call, "POST", f"{WINDOWS}/{pause['id']}/end")[0] == 409
    assert send(on_call, "PATCH", f"{WINDOWS}/{pause['id']}", {"reason": "again"})[0] == 409

    actions = AuditEntry.objects.order_by("sequence").values_list("actor", "action")
    assert [action for actor, action in actions if actor == "on_call"] == [
        "maintenance_window.planned",
        "maintenance_window.changed",
        "maintenance_window.ended",
    ]


def test_whoever_may_only_read_plans_nothing(reader: Client) -> None:
    status, problem = send(reader, "POST", WINDOWS, {"reason": "because"})

    assert (status, MaintenanceWindow.objects.count()) == (403, 0)
    assert problem["detail"] == "this needs the permission heartbeat.add_maintenancewindow"


TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reason"),
        ({"reason": "x", "site": "a", "kind": "xle"}, "site"),
        ({"reason": "x", "robots": []}, "robots"),
        ({"reason": "x", "robots": ["a\x00"]}, "robots[0]"),
        ({"reason": "x", "ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
        ({"reason": "x", "starts_at": TOMORROW, "ends_at": TOMORROW}, "ends_at"),
        ({"reason": "x", "starts_at": "9999-12-31T23:59:59Z"}, "ends_at"),
        ({"reason": "x", "until": TOMORROW}, "until"),
        ({"reason": "x\x00"}, "reason"),
    ],
)
def test_a_plan_that_cannot_be_names_the_field(on_call: Client, body: dict[str, Any], field: str) -> None:
    status, problem = send(on_call, "POST", WINDOWS, body)

    assert (status, problem["errors"][0]["field"]) == (400, field)


def test_windows_in_force_are_told_from_those_that_are_not(on_call: Client) -> None:
    send(on_call, "POST", WINDOWS, {"reason": "now", "site": "a", "ends_at": TOMORROW})
    send(on_call, "POST", WINDOWS, {"reason": "later", "tag": "spare", "starts_at": TOMORROW})

    found = on_call.get(WINDOWS, {"in_force": "true"}).json()["results"]

    assert [(window["reason"], window["scope"], window["value"]) for window in found] == [("now", "site", "a")]


def test_prometheus_learns_of_liveness(client: Client) -> None:
    robot()
    _incident(site="b")
    told = client.get("/metrics").content.decode()

    assert 'lekiwi_heartbeat_robots{liveness="online"} 1.0' in told
    assert 'lekiwi_heartbeat_open_incidents{level="offline"} 1.0' in told
    assert "lekiwi_heartbeat_deaf_seconds_total 0.0" in told


@pytest.mark.parametrize(
    "model", ["robotliveness", "livenessevent", "incident", "notice", "maintenancewindow", "lease", "deafness"]
)
def test_the_admin_shows_it_and_changes_nothing(admin_client: Client, model: str) -> None:
    RobotLiveness.objects.create(robot_key=b"r", robot_id="r", state="online", since=T0, number=1)
    _event(1, incident=_incident())

    assert admin_client.get(f"/admin/heartbeat/{model}/").status_code == 200
    assert admin_client.get(f"/admin/heartbeat/{model}/add/").status_code == 403
