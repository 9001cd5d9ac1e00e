"""Reading an archive of legacy back: every answer byte for byte, and all of it fitting together."""

import hashlib
import json
import tarfile
import zlib
from typing import Any

import httpx

from migration.backups.files import checksum_of
from migration.backups.programs import BackupError
from migration.clock import system_clock
from migration.models import Backup

INDEX = "index.json"
ROBOTS, HEALTH, DEPLOYMENTS = "/api/robots", "/health", "/api/deployments?limit=1000000"


def require_whole(backup: Backup) -> None:
    """Raise BackupError unless the file is there, byte for byte."""
    if not backup.file.is_file():
        raise BackupError(f"{backup.path} is not there")
    if checksum_of(backup.file) != backup.sha256:
        raise BackupError(f"{backup.path} is not what was written: its checksum differs")


def prove(backup: Backup) -> None:
    """Read an archive back and mark it verified. Raises BackupError with what is not as it was."""
    read_back(backup)
    backup.verify(system_clock().now())
    backup.save()


def read_back(backup: Backup) -> dict[str, bytes]:
    """Every archived answer by its call. Raises BackupError unless each is what was written and all fits together."""
    require_whole(backup)
    answers: dict[str, bytes] = {}
    try:
        with tarfile.open(backup.file, "r:gz") as archive:
            index = json.loads(_member(archive, INDEX))
            for call, told in index.items():
                answers[call] = _member(archive, told["file"])
                if hashlib.sha256(answers[call]).hexdigest() != told["sha256"]:
                    raise BackupError(f"the answer to {call} is not what was archived")
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, KeyError) as error:
        raise BackupError(f"{backup.path} cannot be unpacked: {error}") from error
    if set(index) != set(backup.contents):
        raise BackupError("the archive holds other calls than were made")
    _require_sense(index, answers)
    return answers


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    opened = archive.extractfile(name)
    if opened is None:
        raise BackupError(f"the archive has no {name}")
    return opened.read()


def _require_sense(index: dict[str, Any], answers: dict[str, bytes]) -> None:
    """The answers must be what they say: as many robots as legacy counts, packages as their deployments announce."""
    robots, health = json.loads(answers[ROBOTS]), json.loads(answers[HEALTH])
    if len(robots) < health["robots"]:
        raise BackupError(f"{len(robots):,} robots archived, legacy counted {health['robots']:,}")
    for deployment in json.loads(answers[DEPLOYMENTS]):
        call = f"/api/download/{deployment['id']}"
        announced = deployment.get("checksum")
        if index[call]["status"] == httpx.codes.OK and announced not in (None, "", index[call]["sha256"]):
            raise BackupError(f"the package of {deployment['id']} is not the one that its checksum announces")
