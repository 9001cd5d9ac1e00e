"""The host program, which takes commands. Without it nobody can drive; with it nobody need."""

from teleop.rules.finding import Finding
from teleop.rules.layouts import Layout
from teleop.rules.signals import Report


def detect(report: Report, layout: Layout) -> Finding | None:
    """It runs, or not."""
    if report.host_up is None:
        return None
    if report.host_up:
        return Finding("host", "the host runs", host=True, host_weight=2.0)
    return Finding("host", "the host does not run", -8.0, host=False, host_weight=2.0, gone=True)
