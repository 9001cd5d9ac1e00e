"""Legacy's last state in one file: every read that changes nothing, and proof that the file can be read back."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
from django.conf import settings

from migration.actors import Actor
from migration.backups import files
from migration.backups.archive import DEPLOYMENTS, HEALTH, INDEX, ROBOTS, prove
from migration.backups.locking import only_one
from migration.backups.making import begin, finish
from migration.backups.programs import BackupError
from migration.backups.recording import keep_record
from migration.models import Backup

#: both contracts' reads without effects; `check-update` stamps `last_seen` and the teleoperation status opens SSH
READS = (
    HEALTH,
    "/api/info",
    ROBOTS,
    DEPLOYMENTS,
    "/api/fleet",
    "/api/discovery/status",
    "/robots",
    "/robots/count",
    "/deployments",
)
#: what an installation of the first contract must answer, or nothing was archived
NEEDED = (HEALTH, ROBOTS, DEPLOYMENTS)


def archive_legacy(reason: str, *, actor: Actor) -> Backup:
    """Read everything from legacy into one archive and read the archive back. Verified, or failed with the reason.

    A call that an installation does not have (404) is archived as such. Raises `BackupIsRunning`.
    """
    with only_one():
        backup = begin(Backup.Kind.LEGACY, reason, actor, ".tar.gz")
        try:
            backup.contents = _write(backup)
            backup.save()
            finish(backup)
            prove(backup)
        except (BackupError, OSError, httpx.HTTPError, ValueError, KeyError) as error:
            backup.fail(str(error).strip() or repr(error))
            backup.save()
    keep_record(backup, actor)
    return backup


def _write(backup: Backup) -> dict[str, Any]:
    index: dict[str, Any] = {}
    with (
        httpx.Client(base_url=settings.LEGACY_URL, timeout=30.0) as legacy,
        tarfile.open(files.unfinished(backup.file), "w:gz") as archive,
    ):
        for number, (call, answer) in enumerate(_answers(legacy)):
            name = f"answers/{number:05d}"
            _add(archive, name, answer.content, backup.begun_at)
            index[call] = {
                "file": name,
                "status": answer.status_code,
                "content_type": answer.headers.get("content-type", ""),
                "bytes": len(answer.content),
                "sha256": hashlib.sha256(answer.content).hexdigest(),
            }
        _add(archive, INDEX, json.dumps(index, indent=1).encode(), backup.begun_at)
    return index


def _answers(legacy: httpx.Client) -> Iterator[tuple[str, httpx.Response]]:
    """Every call with its answer; packages of deployments last. Raises BackupError for what must be there."""
    deployments: list[dict[str, Any]] = []
    for call in READS:
        answer = legacy.get(call)
        if answer.status_code >= 500 or (call in NEEDED and answer.status_code != httpx.codes.OK):
            raise BackupError(f"legacy answered {answer.status_code} to {call}")
        if call.startswith("/api/deployments"):
            deployments = answer.json()
        yield call, answer
    for deployment in deployments:
        call = f"/api/download/{deployment['id']}"
        answer = legacy.get(call)
        if answer.status_code >= 500:
            raise BackupError(f"legacy answered {answer.status_code} to {call}")
        yield call, answer


def _add(archive: tarfile.TarFile, name: str, content: bytes, at: datetime) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(content), int(at.timestamp()), 0o600
    archive.addfile(member, io.BytesIO(content))
