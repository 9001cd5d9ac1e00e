"""Commands that the host took: the strongest signal, and the robot's own definition of being operated."""

from teleop.rules.finding import Finding
from teleop.rules.layouts import Layout
from teleop.rules.signals import Report


def detect(report: Report, layout: Layout) -> Finding | None:
    """Fresh within the watchdog's time, or not. The age says when the latest one came, whenever the report is made."""
    age, rate = report.command_age, report.command_rate_hz
    if age is not None:
        until = report.at - age
        if age > layout.command_timeout:
            return Finding("commands", f"the latest command is {age * 1000:.0f} ms old", -6.0, until=until)
        lasted = report.commanded_for
        since = None if lasted is None else min(until, report.at - lasted)
        at = "" if rate is None else f", {rate:.0f} per second"
        return Finding("commands", f"a command {age * 1000:.0f} ms ago{at}", 6.0, since=since, until=until)
    if rate is not None:
        return Finding("commands", f"{rate:.0f} commands per second", 4.0 if rate > 0 else -4.0)
    return None
