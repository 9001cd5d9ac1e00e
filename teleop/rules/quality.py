"""How well an operator and a robot are connected, from one report."""

from dataclasses import dataclass

from teleop.rules.signals import Report

HIGH_LATENCY_MS = 100.0
LOW_FPS = 15.0
HIGH_LOSS_PERCENT = 5.0


@dataclass(frozen=True, slots=True)
class Quality:
    """None is “nobody said”. `rate_hz`: commands per second."""

    latency_ms: float | None = None
    fps: float | None = None
    loss_percent: float | None = None
    rate_hz: float | None = None
    bitrate_kbps: float | None = None

    @property
    def says_something(self) -> bool:
        """Whether anything is known."""
        return any(each is not None for each in (self.latency_ms, self.fps, self.loss_percent, self.rate_hz))


@dataclass(frozen=True, slots=True)
class Alert:
    """A quality beyond its limit, as a word and a sentence."""

    kind: str
    sentence: str


def quality_of(report: Report) -> Quality:
    """Of the connected peer that is worst off; without peers the latency is the command connection's."""
    connected = [peer for peer in report.peers or () if peer.state == "connected"]
    latencies = [peer.rtt_ms for peer in connected if peer.rtt_ms is not None]
    if not latencies:
        latencies = [flow.rtt_ms for flow in report.flows or () if flow.rtt_ms is not None]
    frames = [peer.fps for peer in connected if peer.fps is not None]
    losses = [peer.loss_percent for peer in connected if peer.loss_percent is not None]
    rates = [peer.bitrate_kbps for peer in connected if peer.bitrate_kbps is not None]
    return Quality(
        latency_ms=max(latencies) if latencies else report.network_rtt_ms,
        fps=min(frames) if frames else None,
        loss_percent=max(losses) if losses else None,
        rate_hz=report.command_rate_hz,
        bitrate_kbps=min(rates) if rates else None,
    )


def alerts_of(latency_ms: float | None, fps: float | None, loss_percent: float | None) -> list[Alert]:
    """What an operator should be told. What nobody measured raises no alert."""
    alerts = []
    if latency_ms is not None and latency_ms > HIGH_LATENCY_MS:
        alerts.append(Alert("high_latency", f"latency {latency_ms:.0f} ms of {HIGH_LATENCY_MS:.0f}"))
    if fps is not None and fps < LOW_FPS:
        alerts.append(Alert("low_fps", f"{fps:.0f} frames per second of at least {LOW_FPS:.0f}"))
    if loss_percent is not None and loss_percent > HIGH_LOSS_PERCENT:
        alerts.append(Alert("high_loss", f"loss {loss_percent:.1f} % of {HIGH_LOSS_PERCENT:.0f}"))
    return alerts
