import hashlib
from typing import Any

import httpx
import pytest

from heartbeat.deployments import keep_deployment
from heartbeat.models import Deployment, Package
from tests.databases import manage
from tests.heartbeat.conftest import marks
from tests.heartbeat.running import ingest, site

ROW = {
    "id": "dep_aaaaaaaaaaaa",
    "version": "v1.1.0",
    "branch": "main",
    "commit": "0123abc",
    "author": "ci",
    "message": "release v1.1.0",
    "target_group": "all",
    "auto_rollback": True,
    "status": "ready",
    "timestamp": "2025-01-10T08:00:00.000001",
    "package_size": 3,
    "checksum": hashlib.sha256(b"abc").hexdigest(),
}


@pytest.mark.django_db
def test_a_deployment_is_kept_as_it_is() -> None:
    dirty = {"id": "dep_x", "version": "v", "status": "ready", "timestamp": "t", "commit": None, "mood": {"odd": [1]}}

    keep_deployment(dirty)

    kept = Deployment.objects.get(id="dep_x")
    assert list(kept.document.items()) == list(dirty.items())
    assert (kept.commit, kept.target_group) == ("", "")


@pytest.mark.django_db
def test_keeping_it_again_keeps_its_place_and_its_package() -> None:
    first = keep_deployment(ROW, b"abc")
    keep_deployment({**ROW, "id": "dep_bbbbbbbbbbbb"}, b"abc")

    again = keep_deployment({**ROW, "status": "building"})

    assert (again.position, again.status) == (first.position, "building")
    assert again.package_sha256 == ROW["checksum"]
    assert Package.objects.count() == 1


def test_a_rollback_through_one_process_is_offered_by_the_other_at_once(dsn: str, tmp_path: Any) -> None:
    script = (
        "from heartbeat.deployments import keep_deployment as keep;"
        f"row = {ROW!r};"
        "keep(row, b'abc');"
        "keep({**row, 'id': 'dep_bbbbbbbbbbbb', 'version': 'v1.2.0', 'timestamp': '2025-01-20T09:30:00'})"
    )
    manage(dsn, "shell", "--no-imports", "-c", script)
    with ingest(dsn, tmp_path) as robots, site(dsn, tmp_path) as operators:
        asked = "/api/check-update?robot_id=r&current_version=v1.0.0"

        def offer(system: str) -> Any:
            return httpx.get(f"{system}{asked}", headers=marks()).json()

        assert offer(robots)["version"] == "v1.2.0"

        made = httpx.post(f"{operators}/api/rollback", json={"version": "v1.1.0"}).json()

        offered = offer(robots)
        assert (offered["deployment_id"], offered["version"]) == (made["deployment_id"], "v1.1.0")
        assert httpx.get(f"{robots}{offered['download_url']}").content == b"abc"
        assert offer(operators) == offered


async def test_the_site_and_ingest_count_robots_alike(dsn: str, new: httpx.AsyncClient) -> None:
    await new.post("/api/robot/status", json={"robot_id": "r", "status": "idle"})

    health = (await new.get("/health")).json()

    assert (health["status"], health["robots"], health["deployments"]) == ("healthy", 1, 0)
