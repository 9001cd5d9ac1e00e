import re
import stat
from pathlib import Path

import pytest

from embedded import layout
from embedded.errors import StartError
from embedded.monitoring import Monitoring, program
from embedded.options import parse

DEFAULTS = {variable: port for variable, (_, port) in layout.PORTS.items()}


def test_both_get_the_addresses_of_this_system_and_a_secret_of_its_own(tmp_path: Path) -> None:
    ports = layout.any_ports(with_monitoring=True)
    # Another one's default: what was written must not be taken for what is to be written.
    ports["OWN_DOOR_PORT"], ports["INGEST_PORT"] = DEFAULTS["INGEST_PORT"], 20_001
    monitoring = Monitoring(tmp_path, ports, DEFAULTS)

    monitoring.render()

    scraped = (tmp_path / "prometheus" / "prometheus.yml").read_text()
    named = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", scraped)}
    wanted = ("OWN_DOOR_PORT", "ENVOY_ADMIN_PORT", "INGEST_PORT", "LIVE_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT")
    assert named == {ports[name] for name in wanted}
    told = (tmp_path / "alertmanager" / "alertmanager.yml").read_text()
    assert f"http://127.0.0.1:{ports['OWN_DOOR_PORT']}/api/v2/migration/alerts/webhook" in told
    token = tmp_path / "alertmanager" / "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert (
        monitoring.environment()["ALERTMANAGER_TOKEN"] == token.read_text() == Monitoring(tmp_path, ports, {}).token()
    )


def test_a_program_that_is_not_installed_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(StartError, match="alertmanager is not installed: apt-get install"):
        program("alertmanager")


def test_its_ports_are_asked_for_only_with_it() -> None:
    assert "PROMETHEUS_PORT" not in layout.ports_from({})
    told = layout.ports_from({"PROMETHEUS_PORT": "9095"}, with_monitoring=True)
    assert (told["PROMETHEUS_PORT"], told["ALERTMANAGER_PORT"]) == (9095, 9093)


def test_the_autopilot_sends_alerts_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(["--with-monitoring"], {}).with_monitoring

    with pytest.raises(SystemExit):
        parse(["--with-monitoring", "--autopilot"], {})
    assert "cannot go with --with-monitoring" in capsys.readouterr().err
