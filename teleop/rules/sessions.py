"""From reports to sessions: `idle → host_ready → active → lost → ended`, each step backdated to its evidence."""

from collections.abc import Callable
from dataclasses import replace

from teleop.rules.detectors import findings_in
from teleop.rules.fusion import Verdict, fuse
from teleop.rules.layouts import Layout
from teleop.rules.operators import with_operators
from teleop.rules.signals import Basis, Driver, Report
from teleop.rules.standing import Ending, Event, Open, Outcome, Standing, State, Step
from teleop.rules.steps import end_of, step_of

#: commands that stay away for longer end a session; within it they are a pause of the same one
LOST_SECONDS = 10.0
#: a robot that is silent for longer (and for three times what is usual for it) is not known any more
SILENT_SECONDS = 10.0
#: silence beyond one and a half times what the robot announced is no jitter
JITTER_SHARE, JITTER_SECONDS = 1.5, 0.4
#: a host that ran this close to its whole time ended because the time was over
TIME_OVER_SLACK_SECONDS = 1.0
#: two estimates of the moment of one command differ by less
SAME_SECONDS = 0.1
#: when nobody says how often reports come
USUAL_INTERVAL = 2.0


def hear(standing: Standing, report: Report, layout: Layout, new_id: Callable[[], str]) -> Outcome:
    """Take one report in. One that was measured before the latest is known better by now, and changes nothing.

    Of a robot that ever sent signals a legacy heartbeat decides nothing while those are fresh.
    """
    if report.at <= standing.at and (report.run == standing.run or not report.run):
        return Outcome(standing)
    had_signals = report.basis is Basis.LEGACY and standing.basis is Basis.SIGNALS and standing.at > 0
    if had_signals and report.at - standing.at <= _forgotten_after(standing):
        return Outcome(standing)
    events: list[Event] = []
    if standing.open and report.run and standing.run and report.run != standing.run:
        ended = end_of(standing.open, Ending.ROBOT_RESTARTED, report.heard_at, "the robot started anew")
        events.append(ended)
        standing = replace(standing, open=None, state=State.UNKNOWN)
    verdict = fuse(findings_in(report, layout), _was_operated(standing))
    if standing.open is None and verdict.until is not None and verdict.until <= standing.over_at + SAME_SECONDS:
        # The command of a session that is over is still young. It is no new one.
        verdict = replace(verdict, operated=False if verdict.operated else verdict.operated)
    standing = _noted(standing, report, verdict)
    opened, more = _session(standing, report, verdict, layout, new_id)
    events += more
    state = _state_of(opened, verdict, report, standing.state)
    since = standing.since
    if state is not standing.state:
        since = next((each.at for each in reversed(more) if each.state is state), _stood_since(standing, state, report))
        if not any(each.state is state for each in more):
            events.append(step_of(Step.STOOD, since, report.heard_at, state, verdict.because, verdict=verdict))
    over = [each.at for each in events if each.step is Step.ENDED]
    standing = replace(standing, over_at=max([standing.over_at, *over]))
    not_operated_at = report.at if verdict.operated is False else standing.not_operated_at
    return Outcome(
        replace(standing, state=state, since=since, open=opened, not_operated_at=not_operated_at), tuple(events)
    )


def pass_time(standing: Standing, now: float) -> Outcome:
    """What silence alone tells at `now`: commands cannot be flowing while the robot that gets them cannot be heard."""
    opened = standing.open
    silent = now - standing.heard_at
    if opened is None:
        if standing.state is not State.UNKNOWN and standing.heard_at and silent > _forgotten_after(standing):
            because = f"nothing was heard for {silent:.0f} s"
            event = step_of(Step.STOOD, standing.at, now, State.UNKNOWN, because)
            return Outcome(replace(standing, state=State.UNKNOWN, since=standing.at, because=because), (event,))
        return Outcome(standing)
    if opened.lost_at is None:
        if silent <= standing.patience:
            return Outcome(standing)
        because = f"the robot fell silent: nothing for {silent:.1f} s"
        event = step_of(Step.LOST, opened.until, now, State.LOST, because, opened=opened)
        lost = replace(opened, lost_at=opened.until)
        return Outcome(replace(standing, state=State.LOST, since=opened.until, open=lost, because=because), (event,))
    if now - opened.lost_at <= LOST_SECONDS:
        return Outcome(standing)
    if silent > standing.patience:
        ending, because = Ending.ROBOT_SILENT, f"the robot is silent for {silent:.0f} s"
        state = State.UNKNOWN
    else:
        ending, because = Ending.COMMANDS_STOPPED, f"no command for {now - opened.lost_at:.0f} s"
        state = State.HOST_READY if standing.host is not False else State.IDLE
    if opened.stopped:
        ending = Ending.STOPPED
    event = end_of(opened, ending, now, because, state=state)
    since = opened.lost_at + LOST_SECONDS
    ended = replace(standing, state=state, since=since, because=because, open=None, over_at=event.at)
    return Outcome(ended, (event,))


def _stood_since(standing: Standing, state: State, report: Report) -> float:
    """When a state without a session began: a host knows for how long it has been up."""
    if state is State.HOST_READY and report.host_up_for is not None:
        return max(standing.since, report.at - report.host_up_for)
    return report.at


def _forgotten_after(standing: Standing) -> float:
    return max(SILENT_SECONDS, 3 * standing.patience)


def _was_operated(standing: Standing) -> bool | None:
    if standing.state is State.ACTIVE:
        return True
    return None if standing.state is State.UNKNOWN else False


def _noted(standing: Standing, report: Report, verdict: Verdict) -> Standing:
    interval = report.next_in or USUAL_INTERVAL
    return replace(
        standing,
        at=report.at,
        heard_at=report.heard_at,
        run=report.run or standing.run,
        basis=report.basis,
        patience=JITTER_SHARE * interval + JITTER_SECONDS,
        host=verdict.host,
        host_up_for=report.host_up_for if report.host_up else standing.host_up_for,
        host_runs_for=report.host_runs_for or standing.host_runs_for,
        confidence=verdict.confidence,
        because=verdict.because,
    )


def _session(
    standing: Standing, report: Report, verdict: Verdict, layout: Layout, new_id: Callable[[], str]
) -> tuple[Open | None, list[Event]]:
    opened = standing.open
    if opened is None:
        return _begun(standing, report, verdict, new_id) if verdict.operated else (None, [])
    if verdict.operated is None:
        return opened, []
    if not verdict.operated:
        return _not_operated(standing, opened, report, verdict, layout)
    events: list[Event] = []
    if opened.lost_at is not None:
        since = verdict.since if verdict.since is not None else _first_known(standing, report, verdict)
        if since - opened.lost_at > LOST_SECONDS:
            events.append(end_of(opened, Ending.COMMANDS_STOPPED, report.heard_at, "commands came again much later"))
            begun, more = _begun(standing, report, verdict, new_id)
            return begun, events + more
        back = since > opened.lost_at + layout.command_timeout
        step, at = (Step.RESUMED, since) if back else (Step.RESTORED, opened.lost_at)
        events.append(step_of(step, at, report.heard_at, State.ACTIVE, verdict.because, opened=opened, verdict=verdict))
        opened = replace(opened, lost_at=None)
    opened = replace(opened, until=max(opened.until, _latest(report, verdict)))
    if Driver.UNKNOWN not in (verdict.driver, opened.driver) and verdict.driver is not opened.driver:
        because = f"{opened.driver.value} handed over to {verdict.driver.value}"
        events.append(end_of(replace(opened, until=report.at), Ending.DRIVER_CHANGED, report.heard_at, because))
        begun, more = _begun(replace(standing, not_operated_at=report.at), report, verdict, new_id, at=report.at)
        return begun, events + more
    if opened.driver is Driver.UNKNOWN and verdict.driver is not Driver.UNKNOWN:
        opened = replace(opened, driver=verdict.driver)
        events.append(
            step_of(
                Step.DRIVER_KNOWN,
                report.at,
                report.heard_at,
                State.ACTIVE,
                verdict.because,
                opened=opened,
                verdict=verdict,
            )
        )
    opened, more = with_operators(opened, report, layout)
    return opened, events + more


def _begun(
    standing: Standing, report: Report, verdict: Verdict, new_id: Callable[[], str], at: float | None = None
) -> tuple[Open, list[Event]]:
    since = verdict.since if verdict.since is not None else _first_known(standing, report, verdict)
    began = since if at is None else at
    opened = Open(new_id(), began, max(began, _latest(report, verdict)), verdict.driver)
    event = step_of(Step.BEGAN, began, report.heard_at, State.ACTIVE, verdict.because, opened=opened, verdict=verdict)
    opened, more = with_operators(opened, report, None)
    return opened, [event, *more]


def _first_known(standing: Standing, report: Report, verdict: Verdict) -> float:
    """When it began, if no signal says: in the middle between the last report that denied it and this one."""
    latest = _latest(report, verdict)
    if standing.not_operated_at is None or standing.not_operated_at > latest:
        return latest
    return (standing.not_operated_at + latest) / 2


def _latest(report: Report, verdict: Verdict) -> float:
    return report.at if verdict.until is None else min(report.at, verdict.until)


def _not_operated(
    standing: Standing, opened: Open, report: Report, verdict: Verdict, layout: Layout
) -> tuple[Open | None, list[Event]]:
    # The robot knows when its latest command came; without its word, somewhere since it was last seen operated.
    known = verdict.until if verdict.until is not None and verdict.until >= opened.until else None
    until = opened.until if known is None else min(known, report.at)
    stopped_at = opened.lost_at if opened.lost_at is not None else until
    if known is not None and opened.lost_at is not None:
        stopped_at = max(stopped_at, until)
    opened = replace(opened, until=max(opened.until, until))
    if not (verdict.gone or _driver_left(opened, report, layout)):
        if opened.lost_at is not None:
            moved = stopped_at > opened.lost_at
            return (replace(opened, lost_at=stopped_at) if moved else opened), []
        event = step_of(
            Step.LOST, stopped_at, report.heard_at, State.LOST, verdict.because, opened=opened, verdict=verdict
        )
        return replace(opened, lost_at=stopped_at), [event]
    ending = _why_host_ended(standing) if verdict.host is False else Ending.OPERATOR_LEFT
    if opened.stopped:
        ending = Ending.STOPPED
    state = State.IDLE if verdict.host is False else State.HOST_READY
    ended = replace(opened, lost_at=stopped_at)
    return None, [end_of(ended, ending, report.heard_at, verdict.because, state=state, verdict=verdict)]


def _driver_left(opened: Open, report: Report, layout: Layout) -> bool:
    """Whether the connection that carried the latest commands is closed, though an older one still stands."""
    ages = [each.received_age for each in report.flows or () if each.port in layout.command_ports]
    known = [age for age in ages if age is not None]
    return bool(known) and report.at - min(known) < opened.until - layout.command_timeout


def _why_host_ended(standing: Standing) -> Ending:
    """A host runs for a fixed time and ends, also under an operator's hands."""
    if standing.host_runs_for is None or standing.host_up_for is None:
        return Ending.HOST_ENDED
    # It was last seen up at most a report's patience before it ended.
    near = standing.host_up_for + standing.patience + TIME_OVER_SLACK_SECONDS >= standing.host_runs_for
    return Ending.HOST_TIME_OVER if near else Ending.HOST_ENDED


def _state_of(opened: Open | None, verdict: Verdict, report: Report, was: State) -> State:
    if opened is not None:
        return State.ACTIVE if opened.lost_at is None else State.LOST
    if verdict.host is False:
        return State.IDLE
    if verdict.operated is False:
        return State.HOST_READY if verdict.host else State.IDLE
    if report.basis is Basis.LEGACY or not verdict.findings:
        return State.UNKNOWN
    # Signals that do not suffice: what was still holds, but a session that is over is no session.
    return was if was in (State.IDLE, State.HOST_READY) else State.UNKNOWN
