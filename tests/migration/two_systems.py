"""Two simulated legacy servers: one as legacy, one in the place of `new`, which speaks the same contract."""

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.contract.systems import simulated_legacy


def row(robot_id: str | None = "Lekiwi_1", *, seconds_ago: float = 0.0, **changes: Any) -> dict[str, Any]:
    """A row as legacy lists it; without an id one that an update check made."""
    seen = {"last_seen": (datetime.now() - timedelta(seconds=seconds_ago)).isoformat()}
    if robot_id is None:
        return {**seen, "current_version": "v1", "group": "all", **changes}
    said = {"robot_id": robot_id, "deployment_id": None, "version": "v1", "status": "idle", "message": None}
    return {**said, "health": {"services": {"teleop": "active"}}, **seen, **changes}


@dataclass
class TwoSystems:
    """Where both are, and what they hold."""

    legacy: str
    new: str

    def hold(
        self,
        legacy: Iterable[Mapping[str, Any]],
        new: Iterable[Mapping[str, Any]],
        deployments: Iterable[Mapping[str, Any]] = (),
        new_deployments: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        """Forget everything and hold exactly these rows and deployments."""
        deployments = list(deployments)
        theirs = deployments if new_deployments is None else list(new_deployments)
        put(self.legacy, legacy, deployments)
        put(self.new, new, theirs)

    @property
    def urls(self) -> dict[str, str]:
        """For `integrity.check`."""
        return {"legacy_url": self.legacy, "new_url": self.new}


def put(url: str, rows: Iterable[Mapping[str, Any]], deployments: Iterable[Mapping[str, Any]] = ()) -> None:
    """Make one system hold these."""
    robots = {one.get("robot_id") or f"nameless {number}": one for number, one in enumerate(rows)}
    wish = json.dumps({"robots": robots, "deployments": list(deployments)})
    httpx.put(f"{url}/_sim/state", content=wish, timeout=20).raise_for_status()


@pytest.fixture(scope="module")
def two_systems(tmp_path_factory: pytest.TempPathFactory):
    """Both, running for a module's tests."""
    with ExitStack() as running:
        legacy, new = (
            running.enter_context(simulated_legacy(tmp_path_factory.mktemp(name))) for name in ("legacy", "new")
        )
        yield TwoSystems(legacy.base_url, new.base_url)
