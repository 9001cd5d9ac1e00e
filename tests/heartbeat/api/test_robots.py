import dataclasses
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.test import Client
from pytest_django import Settings

from heartbeat.fleet import fleet_summary
from heartbeat.rules.identity import bucket_of
from tests.heartbeat.api.conftest import robot, row

pytestmark = pytest.mark.django_db


def test_robots_are_listed_with_what_is_known_of_them(reader: Client) -> None:
    robot(health={"services": {"teleop": "active"}}, last_side="legacy", last_role="failover")

    (listed,) = reader.get("/api/v2/robots").json()["results"]

    assert listed["id"] == "Lekiwi_5A3F"
    assert (listed["kind"], listed["status"], listed["liveness"]) == ("lekiwi", "idle", "online")
    assert (listed["owner"], listed["last_role"], listed["version"]) == ("legacy", "failover", "v1.2.0")
    assert listed["teleop"]["host"] == "up"
    assert listed["teleop"]["operated"] is None


def test_a_v2_robot_tells_whether_somebody_drives(reader: Client) -> None:
    now = datetime.now(UTC)
    robot(last_v2_at=now, last_status_at=now, protocol="v2", payload={"teleop": {"command_age_ms": 36}})

    assert reader.get("/api/v2/robots/Lekiwi_5A3F").json()["teleop"]["operated"] is True


def test_an_older_v2_heartbeat_tells_nothing_about_now(reader: Client) -> None:
    then = datetime.now(UTC) - timedelta(seconds=10)
    robot(last_v2_at=then, payload={"teleop": {"command_age_ms": 36}})

    assert reader.get("/api/v2/robots/Lekiwi_5A3F").json()["teleop"]["operated"] is None


@pytest.mark.parametrize("spelling", ["Lekiwi_5A3F", "LEKIWI_5a3f"])
def test_a_robot_is_found_in_any_case(reader: Client, spelling: str) -> None:
    robot(site="b")

    found = reader.get(f"/api/v2/robots/{spelling}").json()

    assert (found["id"], found["site"], found["bucket"]) == ("Lekiwi_5A3F", "b", bucket_of("lekiwi_5a3f"))


def test_an_unknown_robot_is_a_problem_with_a_reason(reader: Client) -> None:
    answer = reader.get("/api/v2/robots/nobody")

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["errors"] == [{"field": "", "reason": "no robot is known as nobody"}]


def test_who_is_not_logged_in_is_told_so_as_a_problem(client: Client) -> None:
    answer = client.get("/api/v2/robots")

    assert answer.status_code in (401, 403)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code


def test_the_fleet_is_counted_by_kind_status_liveness_and_owner(reader: Client) -> None:
    robot("Lekiwi_1")
    robot("XLE_1", kind_by_id="xle", silent_seconds=100, status="failed", last_side="legacy")
    robot("fast", kind_by_id="", silent_seconds=100, interval_seconds=1, last_side="")

    summary = reader.get("/api/v2/fleet/summary").json()

    assert summary["total"] == 3
    assert summary["by_kind"] == {"lekiwi": 1, "xle": 1, "unknown": 1}
    assert summary["by_status"] == {"idle": 2, "failed": 1}
    assert summary["by_liveness"] == {"online": 1, "late": 1, "offline": 1, "never": 0}
    assert summary["by_owner"] == {"new": 1, "legacy": 1, "unmarked": 1}


def test_an_empty_fleet_is_counted_too() -> None:
    summary = fleet_summary(datetime.now(UTC))

    assert summary.total == 0
    assert dataclasses.asdict(summary)["by_liveness"] == {"online": 0, "late": 0, "offline": 0, "never": 0}


class TestTheCountOfRobotsInBothSystems:
    ROWS = [{"robot_id": "Lekiwi_1"}, {"robot_id": "lekiwi_1"}, {"last_seen": "2026-11-24T09:00:00"}]

    @pytest.fixture
    def legacy(self, settings: Settings) -> Iterator[None]:
        rows = json.dumps(self.ROWS).encode()

        class Legacy(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(rows)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Legacy)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.LEGACY_URL = f"http://127.0.0.1:{server.server_port}"
        yield
        server.shutdown()
        server.server_close()

    def test_agrees(self, client: Client, legacy: None) -> None:
        for spelling in ("Lekiwi_1", "lekiwi_1", "ghost"):
            row(spelling)

        counted = client.get("/api/v2/validation/robot-count").json()

        assert counted["match"] is True
        assert counted["legacy"] == {"rows": 3, "robots": 2}
        assert client.get("/api/validation/robot-count").json() == counted, "the name that old runbooks have for it"

    def test_differs(self, client: Client, legacy: None) -> None:
        counted = client.get("/api/v2/validation/robot-count").json()

        assert counted["match"] is False
        assert counted["reason"] == "legacy has 3 rows, new has 0"

    def test_is_unknown_when_legacy_cannot_be_asked(self, client: Client, settings: Settings, free_port: int) -> None:
        settings.LEGACY_URL = f"http://127.0.0.1:{free_port}"

        answer = client.get("/api/v2/validation/robot-count")

        assert answer.status_code == 200
        assert (answer.json()["legacy"], answer.json()["match"]) == (None, None)
        assert "could not be asked" in answer.json()["reason"]


@pytest.mark.parametrize(
    "model", ["robot", "spelling", "boot", "profile", "legacyrow", "deployment", "package", "deploymentsrevision"]
)
def test_the_admin_shows_every_model_and_changes_none(admin_client: Client, model: str) -> None:
    robot()

    assert admin_client.get(f"/admin/heartbeat/{model}/").status_code == 200
    assert admin_client.get(f"/admin/heartbeat/{model}/add/").status_code == 403


def test_a_robot_and_its_history_can_be_read_in_the_admin(admin_client: Client) -> None:
    one = robot(health={"services": {}})

    assert admin_client.get(f"/admin/heartbeat/robot/{one.pk}/change/").status_code == 200
