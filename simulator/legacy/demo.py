"""The deployments that a first start finds: four releases with real, small packages."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

RELEASES = (
    ("dep_1a2b3c4d5e01", "v1.1.0", "all", "ready", "2025-01-10T08:00:00.000001"),
    ("dep_1a2b3c4d5e02", "v1.2.0", "all", "ready", "2025-01-20T09:30:00"),
    ("dep_1a2b3c4d5e03", "v1.3.0-xle", "xle", "ready", "2025-01-25T12:00:00"),
    ("dep_1a2b3c4d5e04", "v1.4.0", "all", "building", "2025-01-28T00:00:00"),
)


def build_package(version: str) -> bytes:
    """A tar.gz with the two files that a robot's agent looks for; the same bytes for the same version."""
    files = {
        "VERSION": version.encode(),
        "DEPLOYMENT.json": json.dumps({"version": version, "branch": "main"}, indent=2).encode(),
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(archive.getvalue(), mtime=0)


def demo_deployments(packages: Path) -> list[dict[str, Any]]:
    """Write each release's package below `packages` (made if needed) and return the rows that describe them."""
    packages.mkdir(parents=True, exist_ok=True)
    rows = []
    for deployment_id, version, group, status, timestamp in RELEASES:
        package = build_package(version)
        path = packages / f"{deployment_id}.tar.gz"
        path.write_bytes(package)
        rows.append(
            {
                "id": deployment_id,
                "version": version,
                "branch": "main",
                "commit": hashlib.sha1(version.encode()).hexdigest()[:7],
                "author": "ci",
                "message": f"release {version}",
                "target_group": group,
                "auto_rollback": group == "all",
                "status": status,
                "timestamp": timestamp,
                "package_size": len(package),
                "checksum": hashlib.sha256(package).hexdigest(),
                "package_path": str(path.resolve()),
            }
        )
    return rows
