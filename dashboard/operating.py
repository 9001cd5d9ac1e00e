"""Who drives what: the regions of the page `/teleop/`, and the view `operating` that renews them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Max
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import mark_safe

from dashboard.live.view import MappingState, State
from dashboard.presentation import NEVER
from teleop import current, stopping
from teleop.models import Participation, QualitySample, RobotOperation, Session, StopRequest
from teleop.rules.quality import HIGH_LATENCY_MS, LOW_FPS

#: ids in the page; `teleop-now` comes from `dashboard/_teleop_now.html`
REGIONS = ("teleop-figures", "teleop-now", "teleop-timeline", "teleop-mismatch", "teleop-stops")
#: how far the pictures look back
SPARK, TIMELINE = timedelta(seconds=60), timedelta(minutes=10)
MOST_ROWS = 100
#: of the sparklines, in their own units
SPARK_WIDTH, SPARK_HEIGHT = 120, 28


@dataclass(frozen=True, slots=True)
class Spark:
    """A curve of the last minute. `points` of a polyline per stretch without a gap; `limit` is where the limit lies."""

    stretches: tuple[str, ...]
    limit: float
    latest: str
    said: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A session in the timeline, percent of its width; `look` is its driver."""

    x: float
    width: float
    look: str
    words: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A robot or an operator and its sessions of the last ten minutes."""

    name: str
    bars: tuple[Bar, ...]
    is_robot: bool


@dataclass(frozen=True, slots=True)
class Pictures:
    """The curves of each session's last minute, by its id, and the timeline of the last ten."""

    sparks: Mapping[Any, dict[str, Spark]]
    lanes: Sequence[Lane]


class OperatingView:
    """`operating`: sessions now, with their quality; the timeline; where legacy concludes something else.

    That somebody took a robot over has to be seen within a second, so it is looked at ten times in one. What has not
    moved by then is not rendered again before the second is over, and pictures never are: they cost the most.
    """

    period_seconds = 0.1
    #: pictures move, and what the watcher does not write changes, this often
    RENDER_SECONDS = 1.0

    def __init__(self) -> None:
        self._moved_at: datetime | None = None
        self._latest: MappingState | None = None
        self._rendered_at = datetime.min.replace(tzinfo=UTC)
        self._pictures: Pictures | None = None

    def knows(self, name: str) -> bool:
        """There is one."""
        return name == "operating"

    def look(self, names: Sequence[str]) -> Mapping[str, State]:
        """Operation now."""
        now = timezone.now()
        moved_at = RobotOperation.objects.aggregate(at=Max("updated_at"))["at"]
        is_due = (now - self._rendered_at).total_seconds() >= self.RENDER_SECONDS
        if self._latest is not None and moved_at == self._moved_at and not is_due:
            return dict.fromkeys(names, MappingState(now.isoformat(), **self._latest.groups))
        self._moved_at = moved_at
        if is_due:
            self._rendered_at, self._pictures = now, None
        facts = facts_at(now, self._pictures)
        self._pictures = facts["pictures"]
        data = {"summary": facts["data"], "sessions": {row["robot"]: row["told"] for row in facts["rows"]}}
        self._latest = MappingState(now.isoformat(), html=regions(facts), data=data)
        return dict.fromkeys(names, self._latest)


def regions(facts: Mapping[str, Any]) -> dict[str, str]:
    """Each region as HTML."""
    return {region: _render(region, facts) for region in REGIONS}


def facts_at(now: datetime, pictures: Pictures | None = None) -> dict[str, Any]:
    """What the templates need, so that they hold no number and no decision. `pictures` of a moment ago will do."""
    told = current.summary(now)
    operated = list(current.operated()[:MOST_ROWS])
    sessions = Session.objects.in_bulk([row.session_id for row in operated])
    if pictures is None:
        pictures = Pictures(_sparks([row.session_id for row in operated if row.session_id], now), _lanes(now))
    wrong = list(current.disagreements()[:MOST_ROWS])
    return {
        "now": now,
        "told": told,
        "rows": [
            _row(row, sessions.get(row.session_id), pictures.sparks, told.operators_with_several) for row in operated
        ],
        "more": max(0, told.by_state["active"] + told.by_state["lost"] - len(operated)),
        "pictures": pictures,
        "lanes": pictures.lanes,
        "timeline_from": now - TIMELINE,
        "wrong": [{"row": row, "claim": _claim(row), "look": _LOOKS[row.state]} for row in wrong],
        "stops": [
            {"stop": stop, "state": stopping.state_of(stop, now)}
            for stop in StopRequest.objects.order_by("-asked_at")[:8]
        ],
        "data": {
            "watched": told.watched,
            "states": told.by_state,
            "drivers": told.by_driver,
            "alerts": told.alerts,
            "disagreements": told.disagreements,
        },
    }


_LOOKS = {"active": "driven", "lost": "warn", "host_ready": "wait", "idle": "off", "unknown": "none"}


def _row(
    row: RobotOperation,
    session: Session | None,
    sparks: Mapping[Any, dict[str, Spark]],
    several: Mapping[str, list[str]],
) -> dict[str, Any]:
    alerts = current.alerts_for(row)
    began = session.began_at if session else row.since
    return {
        "robot": row.robot_id,
        "operation": row,
        "look": _LOOKS[row.state],
        "began": began,
        "alerts": alerts,
        "sparks": sparks.get(row.session_id, {}),
        "several": [name for name in row.operators if name in several],
        "told": [row.state, row.driver, row.operators, began.isoformat(), [alert.kind for alert in alerts]],
    }


def _sparks(sessions: Sequence[Any], now: datetime) -> dict[Any, dict[str, Spark]]:
    found: dict[Any, list[QualitySample]] = {}
    for sample in QualitySample.objects.filter(session_id__in=sessions, at__gte=now - SPARK).order_by("at"):
        found.setdefault(sample.session_id, []).append(sample)
    return {
        session: {
            "latency": _spark([(each.at, each.latency_ms) for each in samples], now, HIGH_LATENCY_MS, "ms"),
            "fps": _spark([(each.at, each.fps) for each in samples], now, LOW_FPS, "fps"),
        }
        for session, samples in found.items()
    }


def _spark(values: Sequence[tuple[datetime, float | None]], now: datetime, limit: float, unit: str) -> Spark:
    """A line ends where its data ends: a gap of more than three seconds is drawn as one."""
    known = [(at, value) for at, value in values if value is not None]
    highest = max([limit * 1.5, *(value for _, value in known)])
    stretches: list[list[str]] = []
    before: datetime | None = None
    for at, value in known:
        if before is None or at - before > timedelta(seconds=3):
            stretches.append([])
        before = at
        x = SPARK_WIDTH * (1 - (now - at) / SPARK)
        stretches[-1].append(f"{x:.1f},{SPARK_HEIGHT * (1 - value / highest):.1f}")
    latest = f"{known[-1][1]:.0f} {unit}" if known else NEVER
    said = f"{latest}, limit {limit:.0f} {unit}" if known else "not measured"
    return Spark(tuple(" ".join(each) for each in stretches), SPARK_HEIGHT * (1 - limit / highest), latest, said)


def _lanes(now: datetime) -> list[Lane]:
    sessions = list(current.recent_sessions(now, TIMELINE)[:MOST_ROWS])
    robots: dict[str, list[Bar]] = {}
    for session in sessions:
        words = f"{session.driver}, {', '.join(session.operators) or 'operator unknown'}"
        robots.setdefault(session.robot_id, []).append(_bar(session.began_at, session.ended_at, now, session, words))
    operators: dict[str, list[Bar]] = {}
    by_id = {session.pk: session for session in sessions}
    for part in Participation.objects.filter(session__in=list(by_id)).order_by("from_at"):
        session = by_id[part.session_id]
        bar = _bar(part.from_at, part.until_at or session.ended_at, now, session, session.robot_id)
        operators.setdefault(part.operator, []).append(bar)
    lanes = [Lane(name, tuple(bars), True) for name, bars in sorted(robots.items())]
    return lanes + [Lane(name, tuple(bars), False) for name, bars in sorted(operators.items())]


def _bar(begin: datetime, end: datetime | None, now: datetime, session: Session, words: str) -> Bar:
    left = max(0.0, 100 * (1 - (now - begin) / TIMELINE))
    right = 100.0 if end is None else min(100.0, 100 * (1 - (now - end) / TIMELINE))
    until = "now" if end is None else f"{end:%H:%M:%S}"
    return Bar(round(left, 2), round(max(0.3, right - left), 2), session.driver, f"{begin:%H:%M:%S}–{until}: {words}")


def _claim(row: Any) -> dict[str, Any]:
    """What legacy says, how that is known, and how old it is. `row`: with the annotations of `current.operations`."""
    word = "teleoperated" if row.claim else "not teleoperated"
    if row.claim_field:
        known = {"how": f"its record: {row.claim_field}", "since": row.claim_since}
        return {"word": word, **known, "verb": "read", "at": row.claim_read_at}
    how = "its service runs" if row.claim else "its service does not run"
    return {"word": word, "how": f"would conclude: {how}", "since": None, "verb": "told", "at": row.legacy_told_at}


def _render(region: str, facts: Mapping[str, Any]) -> str:
    return mark_safe(render_to_string(f"dashboard/_{region.replace('-', '_')}.html", dict(facts)).strip())
