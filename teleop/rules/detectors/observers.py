"""Who reads observations. An observer may only watch, so this weighs little; but whoever drives reads them."""

from teleop.rules.finding import Finding
from teleop.rules.layouts import Layout
from teleop.rules.signals import Report


def detect(report: Report, layout: Layout) -> Finding | None:
    """Somebody reads, or nobody does."""
    if report.observers is None:
        return None
    if report.observers == 0:
        return Finding("observers", "nobody reads observations", -0.8, gone=True)
    return Finding("observers", f"{report.observers} read observations", 0.5)
