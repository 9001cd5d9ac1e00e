"""The robot's watchdog. It reads the wall clock, so a clock that is set can trip it under an operator's hands."""

from teleop.rules.finding import Finding
from teleop.rules.layouts import Layout
from teleop.rules.signals import Report


def detect(report: Report, layout: Layout) -> Finding | None:
    """It holds the base for want of commands, or lets it move."""
    if report.watchdog_active is None:
        return None
    if report.watchdog_active:
        return Finding("watchdog", "the watchdog holds the base", -4.0)
    return Finding("watchdog", "the watchdog lets the base move", 3.0)
