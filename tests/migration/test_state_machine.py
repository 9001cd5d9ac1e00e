"""Whatever happens in whatever order: nobody reaches 25 % without gates and votes, and the way back is always open."""

from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from migration import advancing, pausing, recording, rolling_back, shifting, voting
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import Refused
from migration.models import Alert, Comparison, PhaseRun, Pulse, TrafficSample
from migration.rules.voting import Role
from migration.rules.way_back import WayBack
from tests.builders import person, sample, verified_backup
from tests.migration.installation import door, in_phase, installation, supplied  # noqa: F401
from tests.migration.test_advancing import all_guards_alive

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("installation")]

VOTES = [("vote", role.value, choice) for role in Role for choice in ("go", "no_go")]
OTHERS = [
    *(("way_back", found) for found in ("open", "broken")),
    *(("lag", found) for found in ("small", "large")),
    *(("alert", found) for found in ("open", "closed")),
    *(("guards", found) for found in ("alive", "stuck")),
    *(("build", found) for found in ("dev", "next")),
    *((word,) for word in ("pause", "resume", "advance", "advance", "previous", "emergency")),
]
EVENTS = st.lists(st.sampled_from(VOTES + OTHERS), max_size=14)
FOUR_GO = [("vote", role, "go") for role in ("migration_lead", "backend", "qa", "on_call")]


class Undo(Exception):
    """Ends an example and what it wrote."""


class World:
    """A canary whose every gate but the votes passes, and what an onlooker knows of it, gathered independently."""

    def __init__(self, door, supplied, options) -> None:
        options.NEW_BUILD = "dev"
        self.options, self.supplied = options, supplied
        self.good = {"way_back": True, "lag": True, "alert": True, "guards": True, "build": True, "running": True}
        self.votes: dict[str, str] = {}
        self.people = {role.value: person(role) for role in Role}
        supplied["way_back"], supplied["lags"].forward_seconds = WayBack(whole=True, cause=""), 0.2
        if door.file.latched():
            door.file.release(by="test", because="a new example")
        self.run = in_phase(door, "canary_10")
        now = system_clock().now()
        sample(self.run.started_at)
        counts = {f"mirror.to_{to}.{what}": 9_000 for to in ("new", "legacy") for what in ("primaries", "copies")}
        sample(now, new_owner=(9_000, 0), legacy_owner=(9_000, 0), **counts)
        Comparison.objects.create(at=now, rows=200, seconds=0.1)
        all_guards_alive(now)
        verified_backup(door.file.directory)

    def happen(self, what: str, *how: str) -> None:
        getattr(self, f"on_{what}")(*how)

    def on_vote(self, role: str, choice: str) -> None:
        voting.cast(self.people[role], choice, "because")
        self.votes[role] = choice

    def on_way_back(self, found: str) -> None:
        self.good["way_back"] = found == "open"
        self.supplied["way_back"] = WayBack(whole=found == "open", cause="" if found == "open" else "something is owed")

    def on_lag(self, found: str) -> None:
        self.good["lag"] = found == "small"
        self.supplied["lags"].forward_seconds = 0.2 if found == "small" else 60.0

    def on_alert(self, found: str) -> None:
        self.good["alert"] = found == "closed"
        now = system_clock().now()
        Alert.objects.filter(closed_at=None).update(closed_at=now - timedelta(hours=1))
        if found == "open":
            Alert.objects.create(name="disk", severity="critical", sentence="disk full", opened_at=now)

    def on_guards(self, found: str) -> None:
        self.good["guards"] = found == "alive"
        age = timedelta(minutes=1) if found == "stuck" else timedelta(minutes=-1)
        Pulse.objects.filter(name="watchdog").update(at=system_clock().now() - age)

    def on_build(self, found: str) -> None:
        self.options.NEW_BUILD = found
        if self.good["build"] != (found == "dev"):
            self.votes.clear()  # whoever judged one build has said nothing of the other
        self.good["build"] = found == "dev"

    def on_pause(self) -> None:
        if self.good["running"]:
            pausing.pause(actor=Actor("lead"), reason="lunch")
        self.good["running"] = False

    def on_resume(self) -> None:
        if not self.good["running"]:
            pausing.resume(actor=Actor("lead"), reason="fed")
        self.good["running"] = True

    def on_advance(self) -> None:
        TrafficSample.objects.order_by("-at")[:1].get()
        going = [role for role, choice in self.votes.items() if choice == "go"]
        entitled = all(self.good.values()) and len(going) >= 4 and self.votes.get("migration_lead") == "go"
        red = [name for name in ("way_back", "lag", "alert", "guards") if not self.good[name]]
        try:
            shift = advancing.advance(actor=Actor("lead", is_login=True))
        except Refused:
            assert not entitled
            if red:
                self.votes = {role: choice for role, choice in self.votes.items() if choice != "go"}
            return
        assert entitled, (self.good, self.votes)
        assert shifting.apply(shift.pk).state == "observed"
        raise Undo

    def on_previous(self) -> None:
        self._back("previous", 0)

    def on_emergency(self) -> None:
        self._back("emergency", 0)

    def _back(self, target: str, percent: int) -> None:
        record = rolling_back.roll_back(target, reason="a test", actor=Actor("oncall"))
        recording.drain()
        assert (record.state, record.to_percent) == ("observed", percent), record.late
        assert PhaseRun.objects.get(state="active").percent == percent
        raise Undo


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=EVENTS)
@example(events=[*FOUR_GO, ("advance",)])
@example(events=[*FOUR_GO, ("way_back", "broken"), ("advance",), ("way_back", "open"), ("advance",)])
@example(events=[*FOUR_GO, ("pause",), ("advance",), ("emergency",)])
def test_no_sequence_of_events_reaches_25_percent_without_gates_and_votes_and_every_one_can_go_back(
    installation, supplied, settings, events
):
    settings.MIGRATION_TIME_SCALE = 604_800_000.0
    try:
        with transaction.atomic():
            world = World(installation, supplied, settings)
            for event in events:
                world.happen(*event)
            world.happen("previous")
    except Undo:
        pass
