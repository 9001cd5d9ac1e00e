"""Whether the robot moves. A policy moves it too, and a hand may hold it still."""

from teleop.rules.finding import Finding
from teleop.rules.layouts import Layout
from teleop.rules.signals import Report


def detect(report: Report, layout: Layout) -> Finding | None:
    """It moves, or rests."""
    if report.moving is None:
        return None
    if report.moving:
        return Finding("motion", "the robot moves", 1.5)
    return Finding("motion", "the robot rests", -0.7)
