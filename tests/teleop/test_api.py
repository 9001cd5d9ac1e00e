"""REST, export, page and evidence, on real rows."""

import io
import re
from datetime import datetime, timedelta
from typing import Any

import arro3.io
import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from dashboard.live.hub import Hub
from dashboard.operating import OperatingView
from heartbeat.api import examples
from heartbeat.models import Lease
from heartbeat.rules.identity import key_of
from migration.models import AuditEntry
from teleop import claims, current
from teleop.accuracy import accuracy
from teleop.api.examples import EXAMPLES
from teleop.models import Participation, QualitySample, RobotOperation, Session, SessionEvent, StopRequest
from teleop.rules.reading import read_operation
from tests.builders import heard_robot, person
from tests.heartbeat.api.conforming import outline

pytestmark = pytest.mark.django_db


def operation(robot_id: str, state: str = "host_ready", **fields: Any) -> RobotOperation:
    now = timezone.now()
    usual = {
        "since": now - timedelta(seconds=30),
        "basis": "signals",
        "confidence": 0.99,
        "because": "so",
        "updated_at": now,
    }
    return RobotOperation.objects.create(
        robot_key=key_of(robot_id), robot_id=robot_id, state=state, **{**usual, **fields}
    )


def session(
    robot_id: str = "Lekiwi_1", *, minutes_ago: float = 1, seconds: float | None = None, **fields: Any
) -> Session:
    began = timezone.now() - timedelta(minutes=minutes_ago)
    usual: dict[str, Any] = {"state": "active"}
    if seconds is not None:
        ended = began + timedelta(seconds=seconds)
        usual = {"state": "ended", "ended_at": ended, "ended_known_at": ended, "ending": "operator_left"}
    usual |= {"began_at": began, "began_known_at": began, "confidence": 0.99}
    return Session.objects.create(robot_key=key_of(robot_id), robot_id=robot_id, **{**usual, **fields})


@pytest.fixture
def viewer() -> Client:
    client = Client()
    client.force_login(person(None, "eve"))
    return client


@pytest.fixture
def stopper() -> Client:
    client, who = Client(), person(None, "oncall")
    who.user_permissions.add(Permission.objects.get(codename="stop_session"))
    client.force_login(who)
    return client


def driven(robot_id: str = "Lekiwi_1", **fields: Any) -> Session:
    heard_robot(robot_id)
    opened = session(robot_id, driver="human", operators=["ada"])
    usual = {"driver": "human", "operators": ["ada"], "latency_ms": 140.0, "fps": 9.0, "loss_percent": 7.0}
    operation(robot_id, "active", session_id=opened.pk, **{**usual, **fields})
    return opened


def test_sessions_are_found_by_robot_operator_driver_time_and_quality(viewer: Client) -> None:
    session("Lekiwi_1", seconds=10, driver="policy", highest_latency_ms=20.0)
    session(
        "Lekiwi_2",
        seconds=10,
        minutes_ago=2,
        driver="human",
        operators=["ada", "bob"],
        highest_latency_ms=220.0,
        lowest_fps=4.0,
    )
    session("Lekiwi_2", seconds=10, minutes_ago=90, driver="human", operators=["eve"])

    def found(query: str) -> list[str]:
        return [row["robot_id"] for row in viewer.get(f"/api/v2/teleop/sessions?{query}").json()["results"]]

    assert found("") == ["Lekiwi_1", "Lekiwi_2", "Lekiwi_2"]
    assert found("robot=LEKIWI_1") == ["Lekiwi_1"]
    assert found("operator=bob") == found("min_latency_ms=100") == found("max_fps=14") == ["Lekiwi_2"]
    assert found("driver=policy") == ["Lekiwi_1"]
    hour = (timezone.now() - timedelta(hours=1)).isoformat().replace("+", "%2B")
    assert found(f"since={hour}") == ["Lekiwi_1", "Lekiwi_2"]
    assert found(f"until={hour}") == ["Lekiwi_2"]
    wrong = viewer.get("/api/v2/teleop/sessions?driver=robot")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "driver")


def test_the_history_is_exported_as_csv_and_as_parquet(viewer: Client) -> None:
    one = session(seconds=12.5, operators=["ada", "bob"], latency_ms=31.5)
    session("Lekiwi_2")

    text = b"".join(viewer.get("/api/v2/teleop/sessions?format=csv")).decode().splitlines()
    answer = viewer.get("/api/v2/teleop/sessions?format=parquet&order=began_at")
    table = arro3.io.read_parquet(io.BytesIO(answer.content)).read_all()

    assert len(text) == 3
    assert text[0].startswith("id,robot_id,")
    assert answer["Content-Type"] == "application/vnd.apache.parquet"
    by_name = {name: table.column(name).to_pylist() for name in table.schema.names}
    place = by_name["id"].index(str(one.pk))
    assert by_name["operators"][place] == "ada;bob"
    assert by_name["duration_seconds"][place] == 12.5
    moment = by_name["began_at"][place]
    assert abs(datetime.fromisoformat(str(moment)) - one.began_at) < timedelta(milliseconds=1)
    assert by_name["ended_at"][1 - place] is None


def test_a_session_shows_what_decided_it_who_took_part_and_how_it_went(viewer: Client) -> None:
    one = session(seconds=10)
    SessionEvent.objects.create(
        robot_key=one.robot_key, session=one, step="began", at=one.began_at, known_at=one.began_at, state="active",
        because="a command 20 ms ago", evidence=[{"signal": "commands"}], confidence=0.99,
    )  # fmt: skip
    Participation.objects.create(session=one, operator="ada", from_at=one.began_at)
    QualitySample.objects.create(session=one, at=one.began_at, latency_ms=40.0)

    shown = viewer.get(f"/api/v2/teleop/sessions/{one.pk}").json()

    assert shown["steps"][0]["evidence"] == [{"signal": "commands"}]
    assert shown["participations"][0]["operator"] == "ada"
    assert shown["quality"][0]["latency_ms"] == 40.0
    assert viewer.get("/api/v2/teleop/sessions/00000000-0000-0000-0000-000000000000").status_code == 404


def test_how_a_robot_stands_with_its_alerts_and_what_legacy_concludes(viewer: Client) -> None:
    driven()
    operation("Lekiwi_2", legacy_claims=True)
    operation("Lekiwi_3", "idle", legacy_claims=False)

    one = viewer.get("/api/v2/teleop/robots/lekiwi_1").json()
    wrong = viewer.get("/api/v2/teleop/robots?disagrees=true").json()["results"]
    told = viewer.get("/api/v2/teleop").json()

    assert [alert["kind"] for alert in one["alerts"]] == ["high_latency", "low_fps", "high_loss"]
    assert [row["robot_id"] for row in wrong] == ["Lekiwi_2"]
    assert (told["by_state"]["active"], told["disagreements"], told["watched"]) == (1, 1, False)


def test_what_legacys_own_record_says_counts_and_what_it_would_conclude_only_without_one(viewer: Client) -> None:
    now = timezone.now()
    told = {"legacy_told_at": now - timedelta(seconds=3)}
    operation("Lekiwi_1", legacy_claims=False, **told)
    operation("Lekiwi_2", legacy_claims=True, **told)
    operation("Lekiwi_3", legacy_claims=True, **told)
    ids = ("Lekiwi_1", "Lekiwi_2")
    claims.take_in(
        [claims.Claim(name, name == "Lekiwi_1", "teleop_operation") for name in ids], now - timedelta(seconds=40)
    )
    claims.take_in(
        [claims.Claim(name, name == "Lekiwi_1", "teleop_operation") for name in ids], now - timedelta(seconds=4)
    )

    assert [row.robot_id for row in current.disagreements()] == ["Lekiwi_1", "Lekiwi_3"]
    one = viewer.get("/api/v2/teleop/robots/Lekiwi_1").json()
    assert (one["legacy_claims"], one["legacy_field"]) == (True, "teleop_operation")
    page = viewer.get("/teleop/").content.decode()
    assert "its record: teleop_operation" in page
    read = (now - timedelta(seconds=4)).isoformat()
    assert f'since {now - timedelta(seconds=40):%H:%M:%S}, read <time data-ago datetime="{read}">' in page
    assert "would conclude: its service runs" in page
    assert "told <time data-ago" in page


def test_a_claim_that_nobody_has_read_for_a_while_is_not_legacys_any_more() -> None:
    operation("Lekiwi_1", legacy_claims=False)
    claims.take_in([claims.Claim("Lekiwi_1", True, "teleop_operation")], timezone.now() - timedelta(seconds=70))

    assert not current.disagreements()


def test_an_operator_with_two_robots_is_named() -> None:
    driven("Lekiwi_1")
    driven("Lekiwi_2")

    assert current.summary(timezone.now()).operators_with_several == {"ada": ["Lekiwi_1", "Lekiwi_2"]}


def test_stopping_is_asked_once_audited_and_times_out_unless_the_robot_answers(stopper: Client) -> None:
    opened = driven()

    asked = stopper.post("/api/v2/teleop/robots/Lekiwi_1/stop", {"reason": "a child"}, "application/json")
    again = stopper.post("/api/v2/teleop/robots/Lekiwi_1/stop", {"reason": "a child"}, "application/json")

    assert (asked.status_code, asked.json()["state"], asked.json()["session"]) == (201, "asked", str(opened.pk))
    assert again.status_code == 409
    assert AuditEntry.objects.filter(action="teleop.stop_asked", actor="oncall").count() == 1
    StopRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert stopper.get(f"/api/v2/teleop/stops/{asked.json()['id']}").json()["state"] == "timed_out"
    assert stopper.get("/api/v2/teleop/stops").json()["results"][0]["state"] == "timed_out"
    assert RobotOperation.objects.get().state == "active"


def test_nobody_stops_what_is_in_no_session_or_without_a_permission_or_a_reason(
    stopper: Client, viewer: Client
) -> None:
    heard_robot("Lekiwi_9")
    path = "/api/v2/teleop/robots/Lekiwi_9/stop"

    assert stopper.post(path, {"reason": "x"}, "application/json").status_code == 409
    assert stopper.post(path, {}, "application/json").json()["errors"][0]["field"] == "reason"
    assert stopper.post("/api/v2/teleop/robots/none/stop", {"reason": "x"}, "application/json").status_code == 404
    assert viewer.post(path, {"reason": "x"}, "application/json").status_code == 403
    assert viewer.post("/teleop/stops/", {"robot": "Lekiwi_9", "reason": "x"}).status_code == 403


def test_the_page_says_who_drives_what_and_when_nobody_watches(viewer: Client) -> None:
    opened = driven()
    QualitySample.objects.create(session=opened, at=timezone.now() - timedelta(seconds=5), latency_ms=140.0, fps=9.0)
    Participation.objects.create(session=opened, operator="ada", from_at=opened.began_at)
    operation("Lekiwi_2", legacy_claims=True, because="0 commands per second")

    page = viewer.get("/teleop/").content.decode()

    assert "Nobody watches operation" in page
    assert "latency 140 ms of 100" in page
    assert "9 frames per second of at least 15" in page
    assert "polyline" in page
    assert "lane-human" in page
    assert '<span class="dim">operator</span> ada' in page
    assert "0 commands per second" in page
    assert "would conclude: its service runs" in page
    assert "ask-stop" not in page
    for link in re.findall(r'href="(/api/v2/teleop/sessions[^"]+)"', page):
        assert viewer.get(link).status_code == 200, link
    assert page.count('data-testid="export-') == 2
    now = timezone.now()
    Lease.objects.create(name="teleop_watcher", holder="a", term=1, until=now, renewed_at=now)
    assert "Nobody watches operation" not in viewer.get("/teleop/").content.decode()


def test_the_live_view_shows_a_takeover_at_once_and_renders_nothing_twice() -> None:
    view, names = OperatingView(), ["operating"]
    driven("Lekiwi_1")

    first = view.look(names)["operating"]
    again = view.look(names)["operating"]
    driven("Lekiwi_2")
    then = view.look(names)["operating"]

    assert again.whole()["html"] is first.whole()["html"]
    assert again.at > first.at
    assert set(then.whole()["data"]["sessions"]) == {"Lekiwi_1", "Lekiwi_2"}
    assert Hub({"operating": view})._periods == {"operating": view.period_seconds}


def test_a_person_with_the_permission_asks_from_the_page(stopper: Client) -> None:
    driven()

    assert "ask-stop" in stopper.get("/teleop/").content.decode()
    refused = stopper.post("/teleop/stops/", {"robot": "Lekiwi_1", "reason": ""})
    done = stopper.post("/teleop/stops/", {"robot": "Lekiwi_1", "reason": "a child"})

    assert (refused.status_code, done.status_code) == (422, 200)
    assert "Say why" in refused.content.decode()
    assert "the robot says it stopped" not in stopper.get("/teleop/").content.decode()


def test_accuracy_compares_each_robots_own_word_with_what_is_recorded() -> None:
    now = timezone.now()
    for robot_id, age in (("Lekiwi_1", 20), ("Lekiwi_2", 9_000), ("Lekiwi_3", 20)):
        heard_robot(robot_id, last_v2_at=now, payload={"teleop": {"command_age_ms": age, "host_up": True}})
    heard_robot("Lekiwi_4", last_v2_at=now, payload={})
    driven_one = session("Lekiwi_1")
    operation("Lekiwi_1", "active", session_id=driven_one.pk)
    operation("Lekiwi_2", "host_ready")
    operation("Lekiwi_3", "unknown")

    found = accuracy(now)

    assert (found.judged, found.agreeing, found.unknown, found.silent) == (3, 2, 1, 1)
    assert [each.robot_id for each in found.different] == ["Lekiwi_3"]
    assert found.percent == pytest.approx(66.7, abs=0.1)


#: (health, the payload's member `teleop`)
WORDS: list[tuple[Any, Any]] = [
    *(
        (None, {"host_up": up, "command_age_ms": age})
        for up in (True, False, "yes")
        for age in (20, 500, 501, "20", None)
    ),
    *((None, {"command_rate_hz": rate}) for rate in (0, 29.5, 1e30, True)),
    *((None, {"watchdog_active": stopped}) for stopped in (True, False, 1)),
    *(({"services": {"teleop": service}}, {"command_rate_hz": 0}) for service in ("active", "inactive", 1)),
    ("offline", {"command_rate_hz": 0}),
    ({"services": {"teleop": "\x00\ud800"}}, {"command_rate_hz": 0}),
    # as JSON a pair of surrogates, which PostgreSQL reads
    ({"services": {"teleop": "active"}, "note": "\U0001f600"}, {"command_rate_hz": 0}),
    ([], []),
    (None, "on"),
    (None, None),
]


def test_what_counts_all_robots_at_once_reads_each_as_the_rule_does() -> None:
    now = timezone.now()
    for number, (health, said) in enumerate(WORDS):
        report = read_operation(health, {"teleop": said})
        heard_robot(f"Lekiwi_{number}", last_v2_at=now, health=health, payload={"teleop": said})
        if report.operated is not None:
            opened = session(f"Lekiwi_{number}") if report.operated else None
            operation(f"Lekiwi_{number}", report.state, session_id=opened and opened.pk)

    found = accuracy(now)

    assert found.different == ()
    assert found.judged == sum(read_operation(health, {"teleop": said}).operated is not None for health, said in WORDS)
    assert found.judged + found.silent == len(WORDS)


def test_accuracy_asks_as_much_of_the_database_for_many_robots_as_for_one(django_assert_num_queries) -> None:
    now = timezone.now()
    for number in range(20):
        heard_robot(f"Lekiwi_{number}", last_v2_at=now, payload={"teleop": {"command_rate_hz": 0}})
        operation(f"Lekiwi_{number}", "idle", since=now - timedelta(seconds=(1, 30)[number > 9]))

    with django_assert_num_queries(2):
        found = accuracy(now)

    assert (found.judged, found.agreeing) == (10, 10)


def test_metrics_tell_sessions_latency_and_disagreements(viewer: Client) -> None:
    driven()
    operation("Lekiwi_2", legacy_claims=True)

    text = viewer.get("/metrics").content.decode()

    assert 'lekiwi_teleop_active_sessions{driver="human"} 1.0' in text
    assert "lekiwi_teleop_disagreements 1.0" in text


def test_an_example_of_operation_has_what_the_answer_has(stopper: Client) -> None:
    opened = driven(evidence=[{"signal": "commands", "weight": 6.0, "because": "a command 20 ms ago"}])
    SessionEvent.objects.create(
        robot_key=opened.robot_key, session=opened, step="began", at=opened.began_at, known_at=opened.began_at,
        state="active", because="a command 20 ms ago", confidence=0.99, driver="human",
        evidence=[{"signal": "commands", "weight": 6.0, "because": "a command 20 ms ago"}],
    )  # fmt: skip
    Participation.objects.create(session=opened, operator="ada", from_at=opened.began_at)
    QualitySample.objects.create(session=opened, at=opened.began_at, latency_ms=40.0)
    base = "/api/v2/teleop"
    asked = stopper.post(f"{base}/robots/Lekiwi_1/stop", {"reason": "a child"}, "application/json")
    answers = {
        f"POST {base}/robots/{{robot_id}}/stop": asked,
        f"GET {base}": stopper.get(base),
        f"GET {base}/sessions": stopper.get(f"{base}/sessions"),
        f"GET {base}/sessions/{{session}}": stopper.get(f"{base}/sessions/{opened.pk}"),
        f"GET {base}/robots": stopper.get(f"{base}/robots"),
        f"GET {base}/robots/{{robot_id}}": stopper.get(f"{base}/robots/Lekiwi_1"),
        f"GET {base}/stops": stopper.get(f"{base}/stops"),
        f"GET {base}/stops/{{stop}}": stopper.get(f"{base}/stops/{asked.json()['id']}"),
    }

    shown = examples.read(EXAMPLES)
    for place, answer in answers.items():
        status = str(answer.status_code)
        assert outline(answer.json()) == outline(shown[place][status]), place
