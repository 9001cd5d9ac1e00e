import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from embedded.ports import free_port
from heartbeat.models import Deployment, Package
from migration.deployments import copy_from_legacy
from tests.migration.door import wait_for

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def legacy(settings, tmp_path):
    """A simulated legacy server with its own deployments and packages."""
    port = free_port()
    settings.LEGACY_URL = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "simulator.legacy", "--port", str(port)]
    command += ["--deployments", str(tmp_path / "deployments.json"), "--packages", str(tmp_path / "packages")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            return httpx.get(f"{settings.LEGACY_URL}/health").status_code == 200
        except httpx.TransportError:
            return False

    wait_for(answers, seconds=20)
    yield settings.LEGACY_URL
    process.terminate()
    process.wait()


def test_every_deployment_is_taken_over_with_its_package(legacy):
    listed = httpx.get(f"{legacy}/api/deployments").json()

    assert copy_from_legacy() == len(listed) > 0

    assert [deployment.document for deployment in Deployment.objects.order_by("-timestamp")] == listed
    first = Deployment.objects.exclude(package_sha256="").first()
    assert bytes(Package.objects.get(sha256=first.package_sha256).content) == (
        httpx.get(f"{legacy}/api/download/{first.id}").content
    )


def test_what_did_not_change_is_not_copied_again(legacy):
    copy_from_legacy()

    assert copy_from_legacy() == 0


def test_a_rollback_made_at_legacy_is_offered_by_new_as_well(legacy):
    copy_from_legacy()
    oldest = httpx.get(f"{legacy}/api/deployments").json()[-1]

    made = httpx.post(f"{legacy}/api/rollback", json={"deployment_id": oldest["id"]}).json()

    assert copy_from_legacy() == 1
    assert Deployment.objects.get(id=made["deployment_id"]).version == oldest["version"]


def test_a_silent_legacy_changes_nothing(settings):
    settings.LEGACY_URL = f"http://127.0.0.1:{free_port()}"

    assert copy_from_legacy() == 0
