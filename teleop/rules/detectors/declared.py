"""What the robot says of who drives: the program that sends commands names itself."""

from teleop.rules.finding import Finding
from teleop.rules.layouts import Layout
from teleop.rules.signals import Report


def detect(report: Report, layout: Layout) -> Finding | None:
    """Its word for it. It weighs more than a device that moves: a hand may rest on one while a policy drives."""
    if report.driver is None:
        return None
    return Finding("declared", f"the robot says {report.driver.value}", driver=report.driver, driver_weight=3.0)
