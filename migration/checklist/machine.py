"""The machine that runs `new`: Python, Docker where it is needed, memory, disk."""

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psutil
from django.conf import settings
from django.db import connection

from migration.checklist.registry import Finding, check, holds, not_needed, unknown
from migration.rules.voting import Role

PYTHON_NEEDED = (3, 11)
DOCKER_NEEDED = (20, 10)
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@check(
    "python",
    f"Python is {'.'.join(map(str, PYTHON_NEEDED))} or newer",
    Role.INFRASTRUCTURE,
    "Install a newer Python and make the virtual environment anew (bin/demo does it by itself).",
    fresh_for=timedelta(hours=1),
)
def python() -> Finding:
    """The one that runs this."""
    version = ".".join(map(str, sys.version_info[:3]))
    return holds(sys.version_info >= PYTHON_NEEDED, f"found {version}", version=version)


@check(
    "docker",
    f"Docker is {'.'.join(map(str, DOCKER_NEEDED))} or newer",
    Role.INFRASTRUCTURE,
    "Install Docker, or set DEPLOYMENT=processes where nothing runs in containers.",
    fresh_for=timedelta(hours=1),
    waivable=True,
)
def docker() -> Finding:
    """The server's version, where the deployment runs in containers."""
    if settings.DEPLOYMENT == "processes":
        return not_needed("DEPLOYMENT=processes: nothing here runs in containers")
    if not shutil.which("docker"):
        return holds(False, "there is no docker command")
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except subprocess.TimeoutExpired:
        return unknown("docker did not answer within 5 s")
    version = done.stdout.strip()
    if done.returncode or not version:
        return holds(False, f"docker: {(done.stderr or version).strip().splitlines()[-1:] or 'no answer'}")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    return holds(numbers >= DOCKER_NEEDED, f"found {version}", version=version)


def memory_bytes() -> int:
    """What this process may use: the machine's memory, or less where a container is given less."""
    total = int(psutil.virtual_memory().total)
    try:
        told = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        return total
    return min(total, int(told)) if told.isdecimal() else total


@check(
    "memory",
    "Memory for the whole system",
    Role.INFRASTRUCTURE,
    "Give the machine more memory, or say in PRECHECKS_WAIVED why less will do (memory=why), or lower "
    "PRECHECK_MEMORY_GB to what the fleet needs.",
    waivable=True,
)
def memory() -> Finding:
    """Decimal gigabytes; firmware keeps a part, so a machine sold with 16 shows a little less."""
    found, needed = memory_bytes() / 1e9, settings.PRECHECK_MEMORY_GB
    free = psutil.virtual_memory().available / 1e9
    told = f"{found:.1f} GB, needs {needed:g} GB; {free:.1f} GB free now"
    return holds(found >= needed, told, found_gb=round(found, 2), free_gb=round(free, 2))


@check(
    "disk",
    "Disk for heartbeats and backups",
    Role.INFRASTRUCTURE,
    "Make room or mount a larger disk under STATE_DIR, BACKUP_DIRECTORY and PostgreSQL's data; PRECHECK_DISK_GB says "
    "how much the fleet needs.",
    waivable=True,
)
def disk() -> Finding:
    """Free space wherever something grows; the fullest decides."""
    places = {"STATE_DIR": settings.STATE_DIR, "BACKUP_DIRECTORY": settings.BACKUP_DIRECTORY}
    if postgres := _data_directory():
        places["PostgreSQL's data"] = postgres
    free = {name: shutil.disk_usage(_existing(Path(place))).free / 1e9 for name, place in places.items()}
    name, least = min(free.items(), key=lambda item: item[1])
    needed = settings.PRECHECK_DISK_GB
    told = f"{least:.1f} GB free for {name}, needs {needed:g} GB"
    return holds(least >= needed, told, **{place: round(gigabytes, 1) for place, gigabytes in free.items()})


def _data_directory() -> Path | None:
    """Where PostgreSQL's data lies, if it is on this machine and we may know."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') END"
        )
        told = cursor.fetchone()[0]
    try:
        return Path(told) if told and Path(told).is_dir() else None
    except PermissionError:
        return None


def _existing(path: Path) -> Path:
    """The path or what it will be made in."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())
