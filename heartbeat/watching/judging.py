"""What is decided about one robot: its steps, whether they count as flapping, whether somebody is to know."""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from heartbeat.rules import flapping, transitions
from heartbeat.rules.deafness import Deaf, merged
from heartbeat.rules.incidents import rank
from heartbeat.rules.liveness import Liveness
from heartbeat.rules.transitions import Heard, Known, Step
from heartbeat.rules.windows import Planned, alarm_at, covering
from heartbeat.watching.incidents import Incidents
from heartbeat.watching.legacy_rows import PATIENCE, Answer, LegacyRows
from heartbeat.watching.robots import Change, Watched

#: a silent robot that legacy owns is looked for in legacy's list this often
LEGACY_AGAIN = timedelta(seconds=2)
SILENT = (Liveness.LATE, Liveness.OFFLINE)
BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Judge:
    """Decides by the deaf times and the windows it was told of; keeps what is to be written."""

    incidents: Incidents
    legacy: LegacyRows
    fleet_interval_seconds: float
    windows: list[Planned] = field(default_factory=list)
    #: events of this tick, in order
    changes: list[Change] = field(default_factory=list)
    #: robots of which something else is held than what is stored
    dirty: dict[bytes, Watched] = field(default_factory=dict)
    #: robots that flapped and are online: their incident waits until they are steady
    steadying: dict[bytes, Watched] = field(default_factory=dict)
    _deaf: list[Deaf] = field(default_factory=list)
    _deaf_ends: list[datetime] = field(default_factory=list)

    def learn_of_deafness(self, deaf: list[Deaf]) -> None:
        """Let these deaf times count as well."""
        self._deaf = merged([*self._deaf, *deaf])
        self._deaf_ends = [one.ended_at for one in self._deaf]

    def judge(self, watched: Watched, moment: datetime, now: datetime) -> datetime | None:
        """Take every step that is true at `moment`, until which we listened. Returns when to look again, None: unasked.

        For a robot that legacy owns this may be in a moment, while legacy is asked.
        """
        note = ""
        if watched.reading.is_legacys and watched.held.state in SILENT:
            self._hear_of_legacy(watched, now - LEGACY_AGAIN)
        steps = self._steps(watched, moment)
        if watched.reading.is_legacys and steps and steps[-1].state in SILENT:
            answer = self._hear_of_legacy(watched, steps[-1].at)
            if answer is None and now < steps[-1].at + PATIENCE:
                return now
            note = answer.failure if answer else f"legacy did not answer within {PATIENCE.total_seconds():.0f} s"
            steps = self._steps(watched, moment)
        changes = [self._step(watched, step, note) for step in steps]
        self._alarm(watched, moment, changes)
        heard = self._heard(watched)
        return transitions.deadline(watched.held.state, heard, self._deaf_since(heard))

    def calm(self, moment: datetime) -> None:
        """Let robots that have been steady for long enough leave the incident that waited for them."""
        for key, watched in list(self.steadying.items()):
            held = watched.held
            if held.state is not Liveness.ONLINE:
                del self.steadying[key]
            elif held.flap_at is None or moment >= flapping.steady_at(held.flap_score, held.flap_at):
                held.flapping = False
                self.incidents.leave(watched, held.since)
                self.dirty[key] = watched
                del self.steadying[key]

    def _heard(self, watched: Watched) -> Heard:
        return watched.heard(self.fleet_interval_seconds)

    def _deaf_since(self, heard: Heard) -> list[Deaf]:
        return self._deaf[bisect_right(self._deaf_ends, heard.last_at) :] if heard.last_at else []

    def _steps(self, watched: Watched, moment: datetime) -> list[Step]:
        held, heard = watched.held, self._heard(watched)
        known = Known(held.state, held.since, held.heard_at)
        return transitions.steps(known, heard, self._deaf_since(heard), moment)

    def _hear_of_legacy(self, watched: Watched, moment: datetime) -> Answer | None:
        """Take over what legacy heard, from a question asked at or after `moment`; None while there is no answer."""
        answer = self.legacy.since(moment)
        seen = answer.seen.get(watched.reading.key) if answer else None
        if seen and (watched.elsewhere_at is None or seen > watched.elsewhere_at):
            watched.elsewhere_at = seen
        return answer

    def _step(self, watched: Watched, step: Step, note: str) -> Change:
        held, before = watched.held, watched.held.state
        window = self._window(watched, step.at)
        change = Change(watched, before, step.state, step.at, step.reason, held.number + 1)
        if step.state in SILENT:
            change.window_id = window.id if window else None
            change.reason += f"; {note}" if note else ""
            change.reason += f"; planned: {window.reason}" if window else ""
            change.damped = held.flapping and held.incident_id is not None
            if before is Liveness.ONLINE:
                held.falls += 1
                if window is None:
                    held.flap_score = flapping.after_fall(held.flap_score, held.flap_at, step.at)
                    held.flap_at = step.at
                    held.flapping = held.flapping or held.flap_score >= flapping.STARTS_AT
        elif before in SILENT:
            change.damped = self._come_back(watched, step.at)
        held.state, held.since, held.number = step.state, step.at, change.number
        held.heard_at = self._heard(watched).last_at
        self.changes.append(change)
        self.dirty[watched.reading.key] = watched
        return change

    def _come_back(self, watched: Watched, at: datetime) -> bool:
        """The robot is online again; whether that is damped, because it flaps and may be gone again soon."""
        held = watched.held
        if held.flapping and held.flap_at and at < flapping.steady_at(held.flap_score, held.flap_at):
            self.steadying[watched.reading.key] = watched
            return held.incident_id is not None
        held.flapping = False
        self.incidents.leave(watched, at)
        return False

    def _alarm(self, watched: Watched, moment: datetime, changes: list[Change]) -> None:
        """Tell somebody of a silence that nobody was told of, unless it is planned."""
        held = watched.held
        if held.state not in SILENT or rank(held.state) <= rank(held.told):
            return
        limits = self._heard(watched).limits
        patience = timedelta(seconds=limits.after_seconds(held.state))
        concerned = [window for window in self.windows if self._concerns(window, watched)]
        at = alarm_at(held.since, patience, concerned)
        if at is None or at > moment:
            return
        reason = changes[-1].reason if changes and len(concerned) == 0 else ""
        if at > held.since:
            reason = "still silent after the maintenance window"
        if held.flapping:
            reason = f"it comes and goes: fall {held.falls}"
        interval = watched.interval(self.fleet_interval_seconds)
        number = self.incidents.tell(watched, at, interval, reason)
        self.dirty[watched.reading.key] = watched
        for change in changes:
            if change.after in SILENT and change.window_id is None:
                change.incident_id, change.damped = number, False

    def _window(self, watched: Watched, at: datetime) -> Planned | None:
        return covering([window for window in self.windows if self._concerns(window, watched)], at)

    @staticmethod
    def _concerns(window: Planned, watched: Watched) -> bool:
        read = watched.reading
        return window.concerns(read.key, read.site, read.kind, read.tags)
