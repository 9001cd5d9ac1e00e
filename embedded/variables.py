"""What every process of a running system is told by its environment, and which build of `new` it is."""

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping

from embedded.layout import PORTS, ROOT, Layout
from embedded.monitoring import PORTS as MONITORING_PORTS

ROBOT_INTERVAL_SECONDS = 1
#: robots of the demo's fleet that are on `new` from 10 % on: the way back is rehearsed with them
REHEARSAL_ROBOTS = "XLE_154ED512,Lekiwi_297A21D7,XLE_D2511C38"
#: what a demo does without (docs/checklist.md); each is shown as waived, with these words
WAIVED_ON_A_LAPTOP = "; ".join(
    (
        "redis=6.2 will do on a laptop: no command newer than 6.2 is used",
        "memory=200 simulated robots need 2 GB",
        "disk=a demo keeps hours of heartbeats, not weeks",
    )
)
#: what `manage.py` and the scripts need to act on a running demo
COMMANDS_NEED = {
    *PORTS,
    *(
        "ALERT_PIPELINE",
        "PRECHECKS_WAIVED",
        "DATABASE_URL",
        "ENVOY_STATE_DIR",
        "LEGACY_RESTART_COMMAND",
        "LEGACY_URL",
        "NEW_BUILD",
    ),
    *("MIGRATION_TIME_SCALE", "PROXIES", "REDIS_URL", "ROBOT_INTERVAL_SECONDS", "SECRET_KEY", "SPOOL_DIR", "STATE_DIR"),
    *("SCRATCH_LEGACY_COMMAND", "SCRATCH_NEW_COMMAND"),
    *("REHEARSALS", "REHEARSAL_ROBOTS", "WAL_ARCHIVE_DIR", "BASE_BACKUP_DIR"),
}
#: the same, where there is one
COMMANDS_TAKE = {*MONITORING_PORTS, "PROMETHEUS_URL", "ALERTMANAGER_URL", "GRAFANA_URL"}
#: the code whose change makes another build of `new`
_BUILD_OF = ("config", "heartbeat", "teleop", "migration", "dashboard", "templates", "static", "requirements.txt")


def build_of_source() -> str:
    """Name the build of `new`: git's name of a clean commit, else a digest of the code."""
    git = ["git", "-C", str(ROOT)]
    clean = subprocess.run(
        [*git, "status", "--porcelain", "--", *_BUILD_OF], capture_output=True, text=True, check=False
    )
    if clean.returncode == 0 and not clean.stdout.strip():
        named = subprocess.run([*git, "describe", "--always", "--tags"], capture_output=True, text=True, check=False)
        if named.returncode == 0:
            return named.stdout.strip()
    digest = hashlib.sha256()
    for path in sorted(path for name in _BUILD_OF for path in (ROOT / name, *(ROOT / name).rglob("*"))):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return f"source-{digest.hexdigest()[:12]}"


def environment(
    layout: Layout,
    secret_key: str,
    database_url: str,
    redis_url: str,
    time_scale: str,
    *,
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the environment of every process; what the caller's environment says wins over the demo's defaults.

    `more` wins over both.
    """
    restart = [sys.executable, "-m", "embedded.control", "--socket", str(layout.control_socket), "restart", "legacy"]
    scratch = [sys.executable, "-m", "simulator.legacy", "--port", "0", "--deployments"]
    scratch += [str(layout.state / "scratch" / "deployments.json"), "--packages", str(layout.state / "scratch")]
    defaults = {
        "ALERT_PIPELINE": "waived",
        # the people of a demo are made up: nobody writes to them
        "EMAIL_HOST": "",
        "PRECHECKS_WAIVED": WAIVED_ON_A_LAPTOP,
        "LOG_LEVEL": "INFO",
        "MIGRATION_TIME_SCALE": time_scale,
        "NEW_BUILD": build_of_source(),
        "REHEARSAL_ROBOTS": REHEARSAL_ROBOTS,
        "REHEARSAL_SECONDS": "60",
        "REHEARSALS": "required",
        "ROBOT_INTERVAL_SECONDS": str(ROBOT_INTERVAL_SECONDS),
    }
    ours = {
        "DEMO": "1",
        "LEGACY_RESTART_COMMAND": shlex.join(restart),
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "ENVOY_STATE_DIR": str(layout.envoy_state),
        "LEGACY_URL": layout.url("LEGACY_PORT"),
        "SCRATCH_LEGACY_COMMAND": shlex.join([*scratch, "--look-seconds", "0"]),
        "SCRATCH_NEW_COMMAND": shlex.join([sys.executable, "-m", "embedded.scratch"]),
        "PROXIES": f"front-a={layout.url('ENVOY_ADMIN_PORT')}|{layout.url('ROBOTS_DOOR_PORT')}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "REDIS_URL": redis_url,
        "SECRET_KEY": secret_key,
        "SPOOL_DIR": str(layout.state / "spool"),
        "STATE_DIR": str(layout.state),
        "BASE_BACKUP_DIR": str(layout.state / "base-backups"),
        "WAL_ARCHIVE_DIR": str(layout.wal_archive) if database_url.endswith(str(layout.runtime / "pg")) else "",
        **{variable: str(port) for variable, port in layout.ports.items()},
    }
    return {**defaults, **os.environ, **ours, **(more or {})}
