"""Prometheus and Alertmanager beside a demo, where they are installed: our rules and configuration, on its ports."""

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from embedded.errors import StartError
from embedded.places import own_directory
from embedded.ports import LOOPBACK

COMPOSE = Path(__file__).resolve().parent.parent / "compose"
#: variable: (what listens there, port)
PORTS: Mapping[str, tuple[str, int]] = {
    "PROMETHEUS_PORT": ("Prometheus", 9090),
    "ALERTMANAGER_PORT": ("Alertmanager", 9093),
}
#: what they are called: by their makers, and by Debian, whose `alertmanager` is another program's name
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "prometheus": ("prometheus",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "promtool": ("promtool",),
    "amtool": ("amtool",),
}


def program(name: str) -> str:
    """Where one of PROGRAMS is installed; `StartError` says how to have it."""
    for each in PROGRAMS[name]:
        if found := shutil.which(each):
            return found
    raise StartError(
        f"{name} is not installed: apt-get install prometheus prometheus-alertmanager, or put it on the PATH"
    )


class Monitoring:
    """Both programs for the system whose ports `ports` names; `defaults` are those that the shipped files name."""

    def __init__(self, state: Path, ports: Mapping[str, int], defaults: Mapping[str, int]) -> None:
        self.prometheus_home = state / "prometheus"
        self.alertmanager_home = state / "alertmanager"
        self.ports = ports
        self._defaults = {**defaults, **{variable: port for variable, (_, port) in PORTS.items()}}

    @property
    def prometheus(self) -> list[str]:
        """The command that runs Prometheus; `render()` must have run."""
        return [
            program("prometheus"),
            f"--config.file={self.prometheus_home / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.prometheus_home / 'data'}",
            "--storage.tsdb.retention.time=1d",
            f"--web.listen-address={LOOPBACK}:{self.ports['PROMETHEUS_PORT']}",
            f"--web.external-url=http://{LOOPBACK}:{self.ports['PROMETHEUS_PORT']}",
            # What Alertmanager missed while it was away comes within seconds (by default a minute), and so does the end
            # of all alerts when Prometheus is dead: after four times this.
            "--rules.alert.resend-delay=5s",
            "--log.level=warn",
        ]

    @property
    def alertmanager(self) -> list[str]:
        """The command that runs Alertmanager, which knows of no other; `render()` must have run."""
        return [
            program("alertmanager"),
            f"--config.file={self.alertmanager_home / 'alertmanager.yml'}",
            f"--storage.path={self.alertmanager_home / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self.ports['ALERTMANAGER_PORT']}",
            f"--web.external-url=http://{LOOPBACK}:{self.ports['ALERTMANAGER_PORT']}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]

    @staticmethod
    def check_installed() -> None:
        """`StartError` if one of them is not."""
        program("prometheus")
        program("alertmanager")

    def render(self) -> None:
        """Write both configurations with this system's addresses, and the webhook's secret."""
        for home, name, files in (
            (self.prometheus_home, "prometheus", ("prometheus.yml", "rules.yml")),
            (self.alertmanager_home, "alertmanager", ("alertmanager.yml",)),
        ):
            own_directory(home, 0o700)
            for file in files:
                (home / file).write_text(self._addressed((COMPOSE / name / file).read_text()))
        self.token()

    def token(self) -> str:
        """The bearer secret of the webhook, made once and readable by its owner alone."""
        path = own_directory(self.alertmanager_home, 0o700) / "token"
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(24))
        return path.read_text()

    def environment(self) -> dict[str, str]:
        """What the system is told of them. No Grafana is started, so none is asked."""
        return {
            "ALERT_PIPELINE": "required",
            "ALERTMANAGER_TOKEN": self.token(),
            "PROMETHEUS_URL": f"http://{LOOPBACK}:{self.ports['PROMETHEUS_PORT']}",
            "ALERTMANAGER_URL": f"http://{LOOPBACK}:{self.ports['ALERTMANAGER_PORT']}",
            "GRAFANA_URL": os.environ.get("GRAFANA_URL", ""),
        }

    def _addressed(self, text: str) -> str:
        # In two steps: one system's port may be another's default.
        for variable, port in self._defaults.items():
            text = text.replace(f"{LOOPBACK}:{port}", f"{LOOPBACK}:@{variable}@")
        for variable in self._defaults:
            text = text.replace(f"@{variable}@", str(self.ports[variable]))
        return text
