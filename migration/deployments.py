"""Taking over legacy's deployments as they are, so that an update check answers the same from both systems."""

import httpx
import structlog
from django.conf import settings

from heartbeat.deployments import keep_deployment
from heartbeat.models import Deployment

log = structlog.get_logger(__name__)

#: legacy lists the newest this many; more than anybody keeps
MOST_DEPLOYMENTS = 10_000


def copy_from_legacy() -> int:
    """Store every deployment that is new or was changed, with its package. Returns how many; 0 if legacy is silent."""
    copied = 0
    try:
        with httpx.Client(base_url=settings.LEGACY_URL, timeout=5.0) as legacy:
            answer = legacy.get("/api/deployments", params={"limit": MOST_DEPLOYMENTS})
            answer.raise_for_status()
            known = dict(Deployment.objects.values_list("id", "document"))
            # Legacy lists the newest first; the order in which they are stored is the order of their age.
            for document in reversed(answer.json()):
                if known.get(document["id"]) != document:
                    keep_deployment(document, _package(legacy, document["id"]))
                    copied += 1
    except (httpx.HTTPError, ValueError, KeyError) as error:
        log.warning("deployments.not_copied", error=str(error) or repr(error))
    if copied:
        log.info("deployments.copied", count=copied)
    return copied


def _package(legacy: httpx.Client, deployment_id: str) -> bytes | None:
    """The package's bytes, or None where legacy itself has lost them: it answers 404 then, and so will we."""
    answer = legacy.get(f"/api/download/{deployment_id}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    answer.raise_for_status()
    return answer.content
