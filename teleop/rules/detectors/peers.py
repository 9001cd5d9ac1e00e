"""WebRTC peers: a connection with frames on it is somebody who looks, not yet somebody who drives."""

from teleop.rules.finding import Finding
from teleop.rules.layouts import Layout
from teleop.rules.signals import Report


def detect(report: Report, layout: Layout) -> Finding | None:
    """A connected peer, or none."""
    if report.peers is None:
        return None
    connected = [peer for peer in report.peers if peer.state == "connected"]
    if not connected:
        return Finding("peers", "no peer is connected", -0.5)
    fps = max((peer.fps or 0.0) for peer in connected)
    return Finding("peers", f"{len(connected)} connected, {fps:.0f} frames per second", 1.0 if fps > 0 else 0.5)
