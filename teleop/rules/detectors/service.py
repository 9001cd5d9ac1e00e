"""The service unit, the only thing that legacy looks at: it says that a host may run, and nothing of an operator."""

from teleop.rules.finding import Finding
from teleop.rules.layouts import Layout
from teleop.rules.signals import Report


def detect(report: Report, layout: Layout) -> Finding | None:
    """Active, or inactive. Without its service no host runs, so nobody drives through one."""
    if report.service == "active":
        because = "the service runs, which says nothing about an operator"
        return Finding("service", because, host=True, host_weight=1.0)
    if report.service == "inactive":
        return Finding("service", "the service does not run", -2.5, host=False, host_weight=1.0)
    return None
