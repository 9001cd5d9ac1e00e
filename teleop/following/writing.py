"""The rows that follow from what changed: sessions, their steps, who took part, how it went, how robots stand."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from teleop.following.fleet import Changed, Held
from teleop.following.standing_text import written
from teleop.rules.quality import Quality
from teleop.rules.standing import Event, Step

_MOVE_CURSOR = "UPDATE teleop_followercursor SET log_at = %s, signal_id = %s, updated_at = clock_timestamp()"
_BEGIN = """
INSERT INTO teleop_session (id, robot_key, robot_id, kind, site, state, driver, operators, contested, basis, confidence,
    began_at, began_known_at, ending, losses, samples)
VALUES (%s, %s, %s, %s, %s, 'active', %s, '{}', false, %s, %s, %s, %s, '', 0, 0)
"""
_LOSE = "UPDATE teleop_session SET state = 'lost', lost_at = %s WHERE id = %s"
_RESUME = "UPDATE teleop_session SET state = 'active', lost_at = NULL, losses = losses + %s WHERE id = %s"
_END = """
UPDATE teleop_session SET state = 'ended', ended_at = greatest(began_at, %s), ended_known_at = %s, ending = %s
WHERE id = %s
"""
_LEAVE_ALL = (
    "UPDATE teleop_participation SET until_at = greatest(from_at, %s) WHERE session_id = %s AND until_at IS NULL"
)
_DRIVER = "UPDATE teleop_session SET driver = %s WHERE id = %s"
_CONTEST = "UPDATE teleop_session SET contested = true WHERE id = %s"
_JOIN = "INSERT INTO teleop_participation (session_id, operator, from_at) VALUES (%s, %s, %s)"
_NAME = """
UPDATE teleop_session SET operators = array_append(operators, %s) WHERE id = %s AND NOT operators @> ARRAY[%s]
"""
_LEAVE = """
UPDATE teleop_participation SET until_at = greatest(from_at, %s)
WHERE session_id = %s AND operator = %s AND until_at IS NULL
"""
_EVENT = """
INSERT INTO teleop_sessionevent
    (robot_key, session_id, step, at, known_at, state, because, evidence, confidence, driver,
    operator)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s)
"""
_SAMPLE = """
INSERT INTO teleop_qualitysample (session_id, at, latency_ms, fps, loss_percent, rate_hz, bitrate_kbps)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_SUM = """
UPDATE teleop_session SET samples = samples + 1,
    latency_ms = coalesce(latency_ms + (%(latency)s - latency_ms) / (samples + 1), %(latency)s, latency_ms),
    highest_latency_ms = greatest(highest_latency_ms, %(latency)s),
    fps = coalesce(fps + (%(fps)s - fps) / (samples + 1), %(fps)s, fps), lowest_fps = least(lowest_fps, %(fps)s),
    loss_percent = coalesce(loss_percent + (%(loss)s - loss_percent) / (samples + 1), %(loss)s, loss_percent),
    highest_loss_percent = greatest(highest_loss_percent, %(loss)s)
WHERE id = %(session)s
"""
_PUT = """
INSERT INTO teleop_robotoperation AS o (robot_key, robot_id, kind, site, state, since, basis, confidence, because,
    evidence, heard_at, session_id, driver, operators, contested, latency_ms, fps, loss_percent, rate_hz, legacy_claims,
    legacy_told_at, standing, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, coalesce(%s::jsonb, '[]'), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
    %s::jsonb, clock_timestamp())
ON CONFLICT (robot_key) DO UPDATE SET robot_id = excluded.robot_id, kind = excluded.kind, site = excluded.site,
    state = excluded.state, since = excluded.since, basis = excluded.basis, confidence = excluded.confidence,
    because = excluded.because,
    evidence = CASE WHEN excluded.evidence = '[]' THEN o.evidence ELSE excluded.evidence END,
    heard_at = excluded.heard_at, session_id = excluded.session_id, driver = excluded.driver,
    operators = excluded.operators, contested = excluded.contested, latency_ms = excluded.latency_ms,
    fps = excluded.fps, loss_percent = excluded.loss_percent, rate_hz = excluded.rate_hz,
    legacy_claims = excluded.legacy_claims, legacy_told_at = excluded.legacy_told_at, standing = excluded.standing,
    updated_at = excluded.updated_at
"""


#: a statement and its arguments
Write = tuple[str, Sequence[Any] | dict[str, Any]]


def cursor(log_at: datetime, signal_id: int) -> Write:
    """How far was read."""
    return _MOVE_CURSOR, [log_at, signal_id]


def step(changed: Changed) -> Iterator[Write]:
    """What a step writes: into its session, and into the list of steps."""
    held, event = changed.held, changed.event
    yield from _session(held, event)
    session = event.session or None
    evidence, driver = json.dumps(list(event.evidence)), event.driver.value
    told = [event.step.value, _moment(event.at), _moment(event.known_at), event.state.value, event.because, evidence]
    yield _EVENT, [held.key, session, *told, event.confidence, driver, event.operator]


def sample(session: str, at: float, quality: Quality) -> Iterator[Write]:
    """A measurement, and the sums of its session."""
    values = [quality.latency_ms, quality.fps, quality.loss_percent, quality.rate_hz, quality.bitrate_kbps]
    yield _SAMPLE, [session, _moment(at), *values]
    yield (
        _SUM,
        {
            "latency": quality.latency_ms,
            "fps": quality.fps,
            "loss": quality.loss_percent,
            "session": session,
        },
    )


def operation(held: Held, evidence: Sequence[dict[str, Any]] | None) -> Write:
    """How a robot stands. `evidence` of its latest step, None when there was none since it was stored."""
    standing, opened = held.standing, held.standing.open
    quality = held.quality or Quality()
    operators = sorted(opened.operators) if opened else []
    return _PUT, [
        *(held.key, held.robot_id, held.kind, held.site, standing.state.value, _moment(standing.since)),
        *(standing.basis.value, standing.confidence, standing.because),
        None if evidence is None else json.dumps(list(evidence)),
        _moment(standing.heard_at) if standing.heard_at else None,
        *(opened.id if opened else None, opened.driver.value if opened else "unknown", operators),
        opened.contested if opened else False,
        *(quality.latency_ms, quality.fps, quality.loss_percent, quality.rate_hz),
        *(held.legacy_claims, _moment(held.legacy_told_at) if held.legacy_told_at else None),
        json.dumps(written(standing)),
    ]


def _session(held: Held, event: Event) -> Iterator[Write]:
    session, at, known = event.session, _moment(event.at), _moment(event.known_at)
    match event.step:
        case Step.BEGAN:
            who = [session, held.key, held.robot_id, held.kind, held.site, event.driver.value]
            yield _BEGIN, [*who, held.standing.basis.value, event.confidence, at, known]
        case Step.LOST:
            yield _LOSE, [at, session]
        case Step.RESUMED | Step.RESTORED:
            yield _RESUME, [int(event.step is Step.RESUMED), session]
        case Step.ENDED:
            yield _END, [at, known, event.ending.value if event.ending else "", session]
            yield _LEAVE_ALL, [at, session]
        case Step.DRIVER_KNOWN:
            yield _DRIVER, [event.driver.value, session]
        case Step.CONTESTED:
            yield _CONTEST, [session]
        case Step.JOINED:
            yield _JOIN, [session, event.operator, at]
            yield _NAME, [event.operator, session, event.operator]
        case Step.LEFT:
            yield _LEAVE, [at, session, event.operator]


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
