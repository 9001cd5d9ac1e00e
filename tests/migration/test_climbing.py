"""The way into a phase in steps, on a real door."""

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from heartbeat.api import examples
from heartbeat.models import Robot
from heartbeat.rules.identity import bucket_of
from migration import advancing, climbing, configuring, foreseeing, freezing, pinning, ramping, rolling_back, shifting
from migration.actors import Actor
from migration.api.examples import EXAMPLES
from migration.clock import system_clock
from migration.errors import Refused
from migration.models import AuditEntry, PhaseRun, Pin, Proposal, Ramp, TrafficShift
from migration.rules.voting import Role
from migration.shortening import shorten
from tests.builders import heard_robot, person
from tests.heartbeat.api.conforming import outline
from tests.migration.installation import door, in_phase, installation, supplied  # noqa: F401
from tests.migration.test_advancing import four_go_votes, shadow  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("installation")]

LEAD = Actor("lead", is_login=True)
INFRA = Actor("infra", is_login=True)


def configure(slug: str, **changes) -> None:
    configuring.change(slug, changes, actor=LEAD, reason="a test")


def evidence_is_bound(run: PhaseRun) -> None:
    """As the recorder does after settings were changed."""
    run.settings = configuring.digest_for(run.phase)
    run.save()


def test_a_ramp_opens_its_phase_at_the_first_step_and_counts_evidence_from_the_last(shadow):
    configure("canary_10", ramp=[4, 7], bake_seconds=0)
    evidence_is_bound(shadow)
    four_go_votes()

    first = advancing.advance(actor=LEAD)
    assert (first.kind, first.to_percent) == ("ramp", 4)
    shifting.apply(first.pk)
    run = PhaseRun.objects.get(state="active")
    assert (run.slug, run.percent, run.has_arrived) == ("canary_10", 4, False)

    ramp = ramping.running()
    for place in (1, 2):
        shifting.apply(ramping.request_step(ramp, place, actor=LEAD).pk)
    ramp.refresh_from_db()
    run.refresh_from_db()
    assert (ramp.state, run.percent, run.has_arrived) == ("completed", 10, True)
    assert run.evidence_from == ramp.reached_at


def test_a_step_waits_for_its_evidence_however_long_it_has_baked(shadow):
    configure("canary_10", ramp=[5], bake_seconds=0)
    evidence_is_bound(shadow)
    four_go_votes()
    shifting.apply(advancing.advance(actor=LEAD).pk)

    climbing.tend()

    ramp = ramping.running()
    assert ramp.reached == 0
    assert "Performance:" in ramp.waits_for
    assert not TrafficShift.objects.filter(state="requested").exists()


def test_a_step_that_is_observed_during_a_look_is_not_taken_again(shadow):
    configure("canary_10", ramp=[4, 7], bake_seconds=9e8)  # one and a half seconds
    evidence_is_bound(shadow)
    four_go_votes()
    shifting.apply(advancing.advance(actor=LEAD).pk)
    Ramp.objects.update(reached_at=system_clock().now() - timedelta(hours=1))
    shift, applied = ramping.request_step(ramping.running(), 1, actor=LEAD), []

    def meanwhile(execute, sql, *more):
        if 'FROM "migration_trafficshift"' in sql and not applied:
            applied.append(shift.pk)
            shifting.apply(shift.pk)
        return execute(sql, *more)

    with connection.execute_wrapper(meanwhile):
        climbing.tend()

    assert applied
    assert ramping.running().waits_for.startswith("bakes until")


def test_a_cohort_goes_first_by_name_and_who_comes_later_does_not_belong(shadow, installation):
    members = [heard_robot(f"XLE_{number}", kind_by_id="xle").robot_id for number in range(30)]
    configure("canary_10", cohorts=["kind=xle"], bake_seconds=0)
    evidence_is_bound(shadow)
    four_go_votes()

    shift = shifting.apply(advancing.advance(actor=LEAD).pk)

    assert shift.state == "observed", shift.failure
    plan = installation.file.read().plan
    assert (plan.percent, set(plan.cohort)) == (0, {robot_id.lower() for robot_id in members})
    assert plan.owner_of("xle_3").reason == "it went over with a cohort in canary_10"
    late = heard_robot("XLE_late", kind_by_id="xle")
    assert plan.owner_of(late.robot_id).side == "legacy"
    record = rolling_back.roll_back("previous", reason="a test", actor=LEAD)
    assert record.state == "observed", record.late
    assert installation.file.read().plan.cohort == {}


def test_a_cancelled_ramp_leaves_traffic_where_it_is_and_locks_the_next_phase(shadow, installation):
    configure("canary_10", ramp=[5])
    evidence_is_bound(shadow)
    four_go_votes()
    shifting.apply(advancing.advance(actor=LEAD).pk)

    ramping.cancel(actor=LEAD, reason="enough for today")

    assert installation.file.read().plan.percent == 5
    with pytest.raises(Refused, match="on the way: 5 of 10 % reached"):
        advancing.advance(actor=LEAD)


def test_a_pin_holds_once_it_was_observed(installation):
    in_phase(installation, "canary_10")

    shift = pinning.pin("Lekiwi_ABC", "legacy", actor=LEAD, reason="motor faults")
    assert not Pin.objects.exists()
    shift = shifting.apply(shift.pk)

    assert (shift.state, Pin.objects.get().side) == ("observed", "legacy"), shift.failure
    assert installation.file.read().plan.owner_of("LEKIWI_abc").reason == "pinned to legacy"
    assert shifting.apply(pinning.unpin("lekiwi_abc", actor=LEAD, reason="mended").pk).state == "observed"
    assert not Pin.objects.exists()


def test_pins_are_no_way_around_gates_and_votes(installation):
    in_phase(installation, "canary_10")
    now = system_clock().now()
    for number in range(pinning.MOST_PINS_TO_NEW):
        Pin.objects.create(key=f"x{number}", side="new", reason="x", pinned_by="x", pinned_at=now)

    with pytest.raises(Refused, match="through gates and votes"):
        pinning.pin("one_more", "new", actor=LEAD, reason="hurry")


def test_entering_100_percent_takes_two_people(installation, shadow):
    configure("canary_10", needs_two_people=True)
    evidence_is_bound(shadow)
    four_go_votes()

    proposal = advancing.advance(actor=LEAD)
    assert isinstance(proposal, Proposal)
    with pytest.raises(Refused, match="another person must confirm"):
        advancing.advance(actor=LEAD)
    with pytest.raises(Refused, match="two people, each with their own login"):
        advancing.advance(actor=Actor("root@host"))
    shift = advancing.advance(actor=INFRA)

    assert shift.to_phase == "canary_10"
    assert configuring.settings_for("full_100").needs_two_people
    assert configuring.settings_for("decommission").needs_two_people


def test_two_people_may_shorten_a_phase_and_nobody_alone(shadow, settings):
    settings.MIGRATION_TIME_SCALE = 1.0

    assert shorten(actor=LEAD, reason="calm").waits_for == "a second person"
    with pytest.raises(Refused, match="Duration: not before"):
        advancing.advance(actor=LEAD)
    shorten(actor=INFRA, reason="agreed")
    with pytest.raises(Refused) as refused:
        advancing.advance(actor=LEAD)

    assert not any(reason.startswith("Duration") for reason in refused.value.reasons)


def test_a_freeze_of_a_site_holds_a_step_that_moves_its_robots(shadow):
    low = next(f"Lekiwi_{number}" for number in range(1_000) if bucket_of(f"Lekiwi_{number}") < 1_000)
    heard_robot(low, site="B")
    Robot.objects.update(last_acknowledged_as_owner_at=system_clock().now())
    four_go_votes()
    ends_at = system_clock().now() + timedelta(hours=1)
    freezing.freeze(actor=LEAD, reason="other site", site="C", ends_at=ends_at)
    window = freezing.freeze(actor=LEAD, reason="change of activity", site="B", ends_at=ends_at)

    with pytest.raises(Refused, match="frozen at site B until") as refused:
        advancing.advance(actor=LEAD)
    assert not any("site C" in reason for reason in refused.value.reasons)
    freezing.lift(window.pk, actor=LEAD, reason="done")
    assert advancing.advance(actor=LEAD).to_phase == "canary_10"


class Hook(BaseHTTPRequestHandler):
    answer: dict = {}

    def do_POST(self):
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        body = json.dumps(self.server.says).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        return


@pytest.fixture
def hook():
    server = HTTPServer(("127.0.0.1", 0), Hook)
    server.asked, server.says = [], {"verdict": "pass", "reason": "line is quiet"}
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def hooked(hook, *when: str) -> list[dict]:
    return [{"name": "line", "url": f"http://127.0.0.1:{hook.server_port}/", "when": list(when)}]


def test_an_external_check_may_veto_before_and_during_a_step(shadow, installation, hook):
    configure("canary_10", hooks=hooked(hook, "before", "during", "after"))
    evidence_is_bound(shadow)
    four_go_votes()
    hook.says = {"verdict": "fail", "reason": "line 3 is loading"}
    with pytest.raises(Refused, match="line: line 3 is loading"):
        advancing.advance(actor=LEAD)

    hook.says = {"verdict": "pass"}
    shift = advancing.advance(actor=LEAD)
    hook.says = {"verdict": "fail", "reason": "stop"}
    shift = shifting.apply(shift.pk)

    assert (shift.state, shift.failure) == ("failed", "vetoed by an external check: line: stop")
    assert installation.file.read().plan.phase == "shadow"
    assert [asked["moment"] for asked in hook.asked] == ["before", "before", "during"]


def test_an_external_check_that_does_not_answer_is_inconclusive_and_no_yes(shadow):
    configure("canary_10", hooks=[{"name": "line", "url": "http://127.0.0.1:1/"}])
    evidence_is_bound(shadow)
    four_go_votes()

    with pytest.raises(Refused, match="line: no answer"):
        advancing.advance(actor=LEAD)


def test_a_dry_run_says_which_robots_would_move_and_moves_nothing(installation):
    in_phase(installation, "shadow")
    robots = [heard_robot(f"Lekiwi_{number}") for number in range(50)]
    before = installation.file.read()

    told = foreseeing.dry_run("canary_10")["steps"]

    assert [step["step"] for step in told] == ["10 %"]
    assert told[0]["names"] == sorted(robot.robot_id for robot in robots if robot.bucket < 1_000)
    assert installation.file.read() == before
    assert not TrafficShift.objects.exists()


def test_a_high_risk_step_needs_somebody_on_watch(shadow, client):
    configure("canary_10", needs_watch=True)
    evidence_is_bound(shadow)
    four_go_votes()
    with pytest.raises(Refused, match="On watch: nobody who may roll back was present within 60 s"):
        advancing.advance(actor=LEAD)
    client.force_login(person(Role.INFRASTRUCTURE))

    assert client.post("/api/v2/migration/presence").status_code == 200

    assert advancing.advance(actor=LEAD).to_phase == "canary_10"


def test_a_rollback_overtakes_a_ramp(shadow):
    configure("canary_10", ramp=[5])
    evidence_is_bound(shadow)
    four_go_votes()
    shifting.apply(advancing.advance(actor=LEAD).pk)

    rolling_back.roll_back("previous", reason="a test", actor=LEAD)
    rolling_back.record_now()

    assert Ramp.objects.get().state == "overtaken"
    assert PhaseRun.objects.get(state="active").slug == "shadow"
    assert "ramp_begun" in set(AuditEntry.objects.values_list("action", flat=True))


def test_an_example_of_the_way_forward_has_what_the_answer_has(installation, monkeypatch):
    in_phase(installation, "shadow")
    known = examples.read(EXAMPLES.with_name("examples_phases.json"))
    client, api = APIClient(), "/api/v2/migration"
    client.force_login(User.objects.create_superuser("ada"))
    heard_robot(next(f"Lekiwi_{number}" for number in range(1_000) if bucket_of(f"Lekiwi_{number}") < 400))
    # what holds a step is the matter of the tests above
    monkeypatch.setattr(climbing, "held_by", lambda *_: [])
    monkeypatch.setattr(climbing.judging, "judge", lambda *_: [])
    monkeypatch.setattr(climbing.advancing, "hindrances", lambda *_: [])
    answers = {}

    def ask(place: str, **names) -> dict:
        method, _, path = place.partition(" ")
        body = known[f"{method} {api}{path}"].get("request")
        query = "?to=canary_10" if path == "/dry-run" else ""
        sent = (json.dumps(body), "application/json") if body else ()
        answer = client.generic(method, f"{api}{path.format(**names)}{query}", *sent)
        answers[f"{method} {api}{path}"] = answer
        return answer.json()

    def no_shift_waits() -> None:
        for waiting in TrafficShift.objects.filter(state="requested"):
            shifting.cancel(waiting.pk, actor=LEAD, reason="a test")

    ask("GET /dry-run")
    ask("POST /proposals/{id}/cancel", id=ask("POST /shorten")["id"])
    ask("PATCH /phases/{slug}/settings", slug="canary_10")
    ask("GET /phases/{slug}/settings", slug="canary_10")
    shifting.apply(advancing.advance(actor=LEAD).pk)
    ask("GET /ramps")
    for place in ("POST /ramps/complete", "POST /ramps/cancel", "POST /ramps/begin"):
        ask(place)
        no_shift_waits()
    ask("POST /pause")
    ask("POST /resume")
    ask("POST /pins")
    no_shift_waits()
    Pin.objects.create(key="lekiwi_5a3f", side="legacy", reason="x", pinned_by="ada", pinned_at=system_clock().now())
    ask("GET /pins")
    made = ask("POST /freezes")["id"]
    ask("GET /freezes")
    ask("POST /freezes/{id}/lift", id=made)
    ask("POST /presence")

    assert set(answers) == set(known)
    for place, answer in answers.items():
        (status,) = set(known[place]) - {"request"}
        assert str(answer.status_code) == status, (place, answer.content)
        assert outline(answer.json()) == outline(known[place][status]), place
