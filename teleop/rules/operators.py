"""Who commands in a session: joining, leaving, and two at once."""

from dataclasses import replace

from teleop.rules.layouts import Layout
from teleop.rules.signals import Report
from teleop.rules.standing import Event, Open, State, Step
from teleop.rules.steps import step_of


def with_operators(opened: Open, report: Report, layout: Layout | None) -> tuple[Open, list[Event]]:
    """Who commands now: those whose latest command is fresh. Several at once are a handover, or a contest."""
    timeout = layout.command_timeout if layout else 0.5
    fresh = _commanding(report, timeout)
    if fresh is None or fresh == opened.operators:
        if fresh and len(fresh) > 1 and not opened.contested:
            because = f"{' and '.join(sorted(fresh))} command at once; the later command wins"
            opened = replace(opened, contested=True)
            return opened, [step_of(Step.CONTESTED, report.at, report.heard_at, State.ACTIVE, because, opened=opened)]
        return opened, []
    events = []
    for operator in sorted(opened.operators - fresh):
        at = _last_of(report, operator)
        because = f"{operator} commands no more"
        events.append(step_of(Step.LEFT, at, report.heard_at, State.ACTIVE, because, opened=opened, operator=operator))
    for operator in sorted(fresh - opened.operators):
        at = report.at if opened.named else opened.began
        because = f"{operator} commands"
        events.append(
            step_of(Step.JOINED, at, report.heard_at, State.ACTIVE, because, opened=opened, operator=operator)
        )
    return replace(opened, operators=fresh, named=opened.named or bool(fresh)), events


def _commanding(report: Report, timeout: float) -> frozenset[str] | None:
    """The operators who command, None where the robot does not know them."""
    said = [(each.operator, each.command_age) for each in report.operators or ()]
    said += [(each.operator, each.received_age) for each in report.flows or ()]
    named = [(operator, age) for operator, age in said if operator]
    if not named:
        return None
    return frozenset(operator for operator, age in named if age is not None and age <= timeout)


def _last_of(report: Report, operator: str) -> float:
    ages = [each.command_age for each in report.operators or () if each.operator == operator]
    known = [age for age in ages if age is not None]
    return report.at - min(known) if known else report.at
