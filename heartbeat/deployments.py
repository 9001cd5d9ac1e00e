"""Use cases about deployments: they are kept exactly as legacy lists them."""

import hashlib
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from heartbeat.models import Deployment, Package

_TEXTS = (
    "version",
    "branch",
    "commit",
    "author",
    "message",
    "target_group",
    "status",
    "timestamp",
    "checksum",
    "package_path",
    "rollback_from",
)


def deployment_columns(document: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that repeat what a document says; what it leaves out or has as null is empty."""
    size = document.get("package_size")
    return {name: str(document.get(name) or "").replace("\x00", "") for name in _TEXTS} | {
        "auto_rollback": bool(document.get("auto_rollback", True)),
        "is_rollback": bool(document.get("is_rollback", False)),
        "package_size": size if isinstance(size, int) else 0,
        "document": dict(document),
    }


@transaction.atomic
def keep_deployment(document: Mapping[str, Any], package: bytes | None = None) -> Deployment:
    """Store a deployment as legacy lists it, or bring the stored one in line; its place in the order stays.

    `package` are the bytes that `GET /api/download/{id}` answers; None leaves those that are there.
    """
    columns = deployment_columns(document)
    if package is not None:
        sha256 = hashlib.sha256(package).hexdigest()
        Package.objects.get_or_create(sha256=sha256, defaults={"content": package})
        columns["package_sha256"] = sha256
    deployment, _ = Deployment.objects.update_or_create(id=document["id"], defaults=columns)
    return deployment
