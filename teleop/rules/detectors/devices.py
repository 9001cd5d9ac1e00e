"""Input devices: a gamepad, a leader arm or a keyboard that moves is a person's hand, and no policy has one."""

from teleop.rules.finding import Finding
from teleop.rules.layouts import Layout
from teleop.rules.signals import Driver, Report

ACTIVE_SECONDS = 0.6


def detect(report: Report, layout: Layout) -> Finding | None:
    """The device that moved last. In a hand it never rests for long."""
    if report.devices is None:
        return None
    known = [device for device in report.devices if device.active_age is not None]
    if not known:
        return Finding("devices", "no input device", -2.5, gone=True)
    age, kind = min((device.active_age or 0.0, device.kind) for device in known)
    if age <= ACTIVE_SECONDS:
        because = f"{kind} moved {age * 1000:.0f} ms ago"
        since = None if report.commanded_for is None else report.at - max(age, report.commanded_for)
        return Finding(
            "devices",
            because,
            2.5,
            since=since,
            until=report.at - age,
            driver=Driver.HUMAN,
            driver_weight=2.0,
        )
    return Finding("devices", f"{kind} rests for {age:.1f} s", -2.5, until=report.at - age)
