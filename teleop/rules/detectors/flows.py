"""The kernel's view of connections to the command ports: data that arrives, or a connection that only stands.

The close of an old connection may come half a minute late, so a connection counts by when data last arrived on it.
"""

from teleop.rules.finding import Finding
from teleop.rules.layouts import Layout
from teleop.rules.signals import Report


def detect(report: Report, layout: Layout) -> Finding | None:
    """The freshest connection to a command port decides; without any, whoever drove through one has left."""
    if report.flows is None or not layout.command_ports:
        return None
    commanding = [flow for flow in report.flows if flow.port in layout.command_ports]
    if not commanding:
        return Finding("flows", "nobody is connected to the command port", -4.0, gone=True)
    ages = [flow.received_age for flow in commanding if flow.received_age is not None]
    if not ages:
        return None
    age = min(ages)
    until = report.at - age
    if age <= layout.command_timeout:
        since = None if report.commanded_for is None else min(until, report.at - report.commanded_for)
        return Finding("flows", f"data on the command port {age * 1000:.0f} ms ago", 5.0, since=since, until=until)
    return Finding("flows", f"no data on the command port for {age * 1000:.0f} ms", -3.0, until=until)
