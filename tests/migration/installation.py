"""A door with stub systems behind it, as this installation's own: what the use cases read and write."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from migration import evidence, routing
from migration.drivers import watch_file
from migration.models import PhaseRun
from migration.rules.phases import phase_of
from migration.rules.way_back import WayBack
from tests.builders import phase_run
from tests.migration.door import Door


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One real door for a module's tests."""
    with Door(tmp_path_factory.mktemp("envoy")) as opened:
        yield opened


@pytest.fixture
def installation(door: Door, settings, tmp_path: Path) -> Door:
    """The door as the one proxy of this installation, in Preparation, nothing latched, spooled or switched off."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # six people vote in most tests
    settings.STATE_DIR = tmp_path
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.ENVOY_STATE_DIR = door.file.directory
    settings.PROXIES = [
        f"front-a=http://127.0.0.1:{door.ports['ENVOY_ADMIN_PORT']}|http://127.0.0.1:{door.ports['ROBOTS_DOOR_PORT']}"
    ]
    for name in ("LEGACY_PORT", "OWN_DOOR_PORT", "INGEST_PORT", "SITE_PORT", "LIVE_PORT"):
        setattr(settings, name, door.ports[name])
    settings.LEGACY_URL = f"http://127.0.0.1:{door.ports['LEGACY_PORT']}"
    settings.ALERT_PIPELINE = "waived"
    settings.REHEARSALS = "waived"
    if door.file.latched():
        door.file.release(by="test", because="a new test")
    (door.file.directory / watch_file.NAME).unlink(missing_ok=True)
    door.route(routing.plan_for(phase_of("preparation"), {}))
    return door


@dataclass
class Lags:
    """How far sync is behind."""

    forward_seconds: float | None = 0.2
    reverse_seconds: float | None = 0.4


@pytest.fixture
def supplied() -> Iterator[dict[str, Any]]:
    """What other packages measure, all well; a test may change what is in it."""
    found: dict[str, Any] = {"lags": Lags(), "way_back": WayBack(whole=True, cause="")}
    names = ("lags", "way_back", "backup", "report", "warm_since", "pipeline")
    for name in names:
        evidence.supply(name, lambda name=name: found.get(name))
    yield found
    for name in names:
        evidence.supply(name, None)


def in_phase(door: Door, slug: str) -> PhaseRun:
    """Put the fleet into a phase: route and run."""
    door.route(routing.plan_for(phase_of(slug), {}))
    return phase_run(slug)
