"""Deployments that legacy's API cannot express go to a configured command (DESIGN.md: deployments travel as they are).

The command (`LEGACY_DEPLOY_COMMAND`) gets the deployment as legacy lists it on its standard input, its package in the
file that `DEPLOYMENT_PACKAGE` names, and brings both into legacy. Whether it did is not its word but legacy's own list:
there under the same id, or under the one that the command says last.
"""

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from heartbeat.models import Deployment, Package
from migration import audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.deployments import listed
from migration.models import DeploymentMapping, HandOver, SyncState
from migration.syncing.source import SILENT, LegacySource, NotLegacy

log = structlog.get_logger(__name__)

COMMAND_SECONDS = 60
#: between attempts at one deployment: as long as it took so far, within these
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=15)
_SYNC = Actor("sync")


def hand_over(now: datetime | None = None) -> list[HandOver]:
    """Try them, the oldest first, until one is not due or fails: legacy offers what came last. Returns what was tried.

    Nothing without a command.
    """
    if not settings.LEGACY_DEPLOY_COMMAND:
        return []
    now = now or system_clock().now()
    state = SyncState.objects.first()
    tried = []
    for new_id in state.unsayable if state else []:
        one, _ = HandOver.objects.get_or_create(new_id=new_id)
        if not is_due(one, now):
            if one.done_at is None:
                break
            continue  # sync's next look at legacy will say that it is there
        _try(one, Deployment.objects.get(id=new_id))
        tried.append(one)
        if one.done_at is None:
            break
    return tried


def is_due(one: HandOver, now: datetime) -> bool:
    """Whether it is time for the next attempt: each pause is twice the one before."""
    if one.tried_at is None:
        return True
    return now - one.tried_at >= min(SHORTEST_PAUSE * 2 ** min(one.attempts - 1, 10), LONGEST_PAUSE)


def lacking() -> list[dict[str, str]]:
    """What legacy lacks because its API cannot express it, each with what became of the latest attempt to bring it."""
    state = SyncState.objects.first()
    if state is None or not state.unsayable:  # asked with every second's status
        return []
    ids = state.unsayable
    failures = dict(HandOver.objects.filter(new_id__in=ids).values_list("new_id", "failure"))
    nobody = "no command is configured" if not settings.LEGACY_DEPLOY_COMMAND else "not tried yet"
    return [{"id": new_id, "why": failures.get(new_id) or nobody} for new_id in ids]


def _try(one: HandOver, deployment: Deployment) -> None:
    failure, said = _run(deployment)
    there = _where_legacy_has_it(one.new_id, said) if not failure else ""
    now = system_clock().now()
    with transaction.atomic():
        if there:
            one.succeeded(now)
            if there != one.new_id:
                mapping = {"target_id": "", "legacy_id": there, "asked_at": now, "mapped_at": now}
                DeploymentMapping.objects.update_or_create(new_id=one.new_id, defaults=mapping)
                Deployment.objects.filter(id=there).delete()
            sentence = f"handed deployment {one.new_id} over to legacy"
        else:
            one.failed(now, failure or "the command ended well, but legacy does not list it")
            sentence = f"could not hand deployment {one.new_id} over to legacy: {one.failure}"
        one.save()
        audit.record(_SYNC, "deployment.handed_over", sentence, at=now, detail={"attempts": one.attempts})
    log.info("deployments.handed_over", deployment=one.new_id, legacy=there, failure=one.failure)


def _run(deployment: Deployment) -> tuple[str, str]:
    """Run the command: why it failed ("" if it did not), and the last line it said."""
    package = Package.objects.filter(sha256=deployment.package_sha256).first() if deployment.package_sha256 else None
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "DEPLOYMENT_ID": deployment.id}
        if package is not None:
            path = Path(directory) / "package.tar.gz"
            path.write_bytes(package.content)
            environment["DEPLOYMENT_PACKAGE"] = str(path)
        try:
            done = subprocess.run(
                shlex.split(settings.LEGACY_DEPLOY_COMMAND),
                input=json.dumps(deployment.document),
                env=environment,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except (OSError, ValueError) as error:
            return f"the command could not be run: {error}", ""
        except subprocess.TimeoutExpired:
            return f"the command took longer than {COMMAND_SECONDS} s", ""
    if done.returncode:
        return f"the command ended with {done.returncode}: {_last_line(done.stderr or done.stdout)}", ""
    return "", _last_line(done.stdout)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _where_legacy_has_it(new_id: str, said: str) -> str:
    """Under which id legacy lists it, "" if it does not."""
    source = LegacySource(settings.LEGACY_URL)
    try:
        ids = _ids(listed(source))
    except (*SILENT, NotLegacy) as error:
        log.warning("deployments.not_listed", error=str(error) or repr(error))
        return ""
    finally:
        source.close()
    return next((one for one in (new_id, said) if one in ids), "")


def _ids(documents: Collection[Any]) -> set[str]:
    return {str(document["id"]) for document in documents if isinstance(document, dict) and "id" in document}
