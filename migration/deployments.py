"""Deployments of both systems: legacy's travel as they are, so that an update check answers the same from both;
back to legacy goes what its API can say."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import structlog
from django.conf import settings

from heartbeat.deployments import keep_deployment
from heartbeat.models import Deployment
from heartbeat.rules.rows import naive_local
from migration.clock import system_clock
from migration.models import DeploymentMapping
from migration.rules.deploying_back import made_by_legacy, told_back
from migration.syncing.quarantine import Bad, hold
from migration.syncing.source import SILENT, LegacySource, NotLegacy

log = structlog.get_logger(__name__)

#: legacy's clock against ours, when it is asked what it made
CLOCK_SLACK = timedelta(seconds=2)


def copy_from_legacy() -> int:
    """Store every deployment that is new or was changed, with its package. Returns how many; 0 if legacy is silent."""
    source = LegacySource(settings.LEGACY_URL)
    try:
        return copied(source, listed(source))
    except (*SILENT, NotLegacy) as error:
        log.warning("deployments.not_copied", error=str(error) or repr(error))
        return 0
    finally:
        source.close()


def listed(source: LegacySource) -> list[Any]:
    """Legacy's deployments, newest first. Raises one of SILENT."""
    body = source.deployments()
    found = msgspec.json.decode(body) if body is not None else []
    return found if isinstance(found, list) else []


def copied(source: LegacySource, documents: Sequence[Any]) -> int:
    """Store what is new or was changed; a bad one waits in quarantine and stops nobody. Returns how many."""
    known = dict(Deployment.objects.values_list("id", "document"))
    ours = set(DeploymentMapping.objects.values_list("legacy_id", flat=True))
    bad: dict[str, Bad] = {}
    count = 0
    # Legacy lists the newest first; the order in which they are stored is the order of their age.
    for number, document in enumerate(reversed(documents)):
        if reason := _unfit(document):
            bad[str(document.get("id") if isinstance(document, dict) else f"row {number}")] = Bad(reason, document)
        elif known.get(document["id"]) != document and document["id"] not in ours:
            keep_deployment(document, source.package(document["id"]))
            count += 1
    hold("deployments", bad, system_clock().now())
    if count:
        log.info("deployments.copied", count=count)
    return count


def tell_legacy(source: LegacySource, documents: Sequence[Any]) -> list[str]:
    """Tell legacy of deployments that were made at `new`, each once. Returns the ids of those that cannot be said."""
    legacy = [document for document in documents if not _unfit(document)]
    _settle(legacy)
    mapped = set(DeploymentMapping.objects.values_list("new_id", flat=True))
    new = list(Deployment.objects.order_by("position").values_list("document", flat=True))
    sayable, unsayable = told_back(new, legacy, mapped)
    for one in sayable:
        mapping = DeploymentMapping.objects.create(
            new_id=one.new_id, target_id=one.target_id, asked_at=system_clock().now()
        )
        try:
            made = source.roll_back(one.target_id)
        except httpx.HTTPStatusError as error:
            mapping.delete()
            log.warning("deployments.not_told", deployment=one.new_id, status=error.response.status_code)
            unsayable.append(one.new_id)
        else:
            _mapped(mapping, str(made["deployment_id"]))
    return unsayable


def _settle(legacy: Sequence[Mapping[str, Any]]) -> None:
    """What was asked and whose answer nobody heard: legacy's list says whether it was done. If not, ask again."""
    for mapping in DeploymentMapping.objects.filter(legacy_id=""):
        taken = set(DeploymentMapping.objects.exclude(legacy_id="").values_list("legacy_id", flat=True))
        since = naive_local(mapping.asked_at - CLOCK_SLACK)
        if made := made_by_legacy(mapping.target_id, since, legacy, taken):
            _mapped(mapping, made)
        else:
            mapping.delete()


def _mapped(mapping: DeploymentMapping, legacy_id: str) -> None:
    mapping.legacy_id, mapping.mapped_at = legacy_id, system_clock().now()
    mapping.save()
    # Read between the question and its answer, it would be taken for one of legacy's own.
    Deployment.objects.filter(id=legacy_id).delete()
    log.info("deployments.told", new=mapping.new_id, legacy=legacy_id)


def _unfit(document: Any) -> str:
    """Why a deployment cannot be kept; "" for one that can."""
    if not isinstance(document, dict):
        return f"{type(document).__name__} instead of an object"
    for name in ("id", "version", "status", "timestamp"):
        if not isinstance(document.get(name), str):
            return f"{name} is not text"
    return ""
