"""The processes of the system: commands, environment, when each is ready (docs/architecture.md)."""

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from embedded.children import FAST_SHUTDOWN
from embedded.conditions import Condition, answers, holds, port_open
from embedded.envoy import TEMPLATE, Envoy
from embedded.errors import StartError
from embedded.monitoring import PORTS as MONITORING_PORTS
from embedded.monitoring import Monitoring
from embedded.places import short_name
from embedded.ports import LOOPBACK, check_free, free_ports
from embedded.postgres import Postgres
from embedded.redis import Redis
from embedded.statedir import enrolment_token_of
from embedded.supervisor import Program

ROOT = Path(__file__).resolve().parent.parent
#: variable: (what listens there, port)
PORTS: Mapping[str, tuple[str, int]] = {
    "ROBOTS_DOOR_PORT": ("the robots' door", 8080),
    "OWN_DOOR_PORT": ("the own door", 8001),
    # The own door as well: old runbooks ask for validation and live views there.
    "OLD_VALIDATION_PORT": ("the own door's old address for validation", 8002),
    "OLD_WEBSOCKET_PORT": ("the own door's old address for live views", 9001),
    "ENVOY_ADMIN_PORT": ("Envoy's admin", 9901),
    "LEGACY_PORT": ("legacy", 8000),
    "INGEST_PORT": ("ingest", 8011),
    "SITE_PORT": ("the site", 8012),
    "LIVE_PORT": ("live", 8013),
}
ROBOT_INTERVAL_SECONDS = 1
#: robots of the demo's fleet that are on `new` from 10 % on: the way back is rehearsed with them
REHEARSAL_ROBOTS = "XLE_154ED512,Lekiwi_297A21D7,XLE_D2511C38"
#: six robots fall silent in every larger fleet, soon and for half a minute, so that the report has silences to compare
SILENCES, SILENCES_FROM_ROBOTS = "6@20+30", 100
#: 200 robots write 100 MB an hour; at the next start a ledger beyond this is set aside
LEDGER_LIMIT_BYTES = 200_000_000
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


def ports_from(environment: Mapping[str, str], *, with_monitoring: bool = False) -> dict[str, int]:
    """Return the port of each variable, the default where it is unset; `StartError` for one that is no port."""
    ports = {}
    for variable, (_, default) in {**PORTS, **(MONITORING_PORTS if with_monitoring else {})}.items():
        told = environment.get(variable) or str(default)
        if not told.isdecimal() or not 0 < int(told) < 65536:
            raise StartError(f"{variable} is {told!r}: set it to a port number from 1 to 65535")
        ports[variable] = int(told)
    taken: dict[int, str] = {}
    for variable, port in ports.items():
        if port in taken:
            raise StartError(f"{taken[port]} and {variable} are both {port}: give one of them another port")
        taken[port] = variable
    return ports


def any_ports(*, with_monitoring: bool = False) -> dict[str, int]:
    """Return a free port for each variable."""
    wanted = [*PORTS, *(MONITORING_PORTS if with_monitoring else ())]
    return dict(zip(wanted, free_ports(len(wanted)), strict=True))


def check_ports(ports: Mapping[str, int]) -> None:
    """Raise `PortTaken` for the first port that somebody listens on."""
    names = {**PORTS, **MONITORING_PORTS}
    for variable, port in ports.items():
        check_free(names[variable][0], variable, port)


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


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one running system has its things."""

    state: Path
    runtime: Path
    ports: Mapping[str, int]
    robots: int
    #: share of the robots that speak v2, 0 to 1
    v2_share: float = 0.0

    @property
    def control_socket(self) -> Path:
        """The supervisor's control socket."""
        return self.runtime / "control.sock"

    @property
    def ledger(self) -> Path:
        """The fleet's record of what it sent and who acknowledged it."""
        return self.state / "fleet" / "ledger"

    @property
    def envoy_state(self) -> Path:
        """Route file, pins and latch."""
        return self.state / "envoy"

    @property
    def wal_archive(self) -> Path:
        """Finished WAL of the embedded PostgreSQL, which another account than root's writes."""
        return Path("/var/tmp") / f"lekiwi-{short_name(self.state)}-wal" if os.geteuid() == 0 else self.state / "wal"

    @property
    def environment_file(self) -> Path:
        """What a shell reads to run commands on this system."""
        return self.state / "env"

    def url(self, variable: str) -> str:
        """The address of the port that `variable` names."""
        return f"http://{LOOPBACK}:{self.ports[variable]}"


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


def live_arguments(port: str, application: str = "config.live:application") -> list[str]:
    """How Python runs the browsers' sockets. Quiet: each accepted one would be a line, 10,000 when all come back."""
    command = ["-m", "uvicorn", application, "--host", LOOPBACK, "--port", port, "--lifespan", "on"]
    command += ["--ws", "dashboard.live.protocol:BrowserSocket", "--ws-per-message-deflate", "false"]
    command += ["--ws-max-size", "65536", "--no-access-log", "--no-proxy-headers", "--log-level", "warning"]
    return [*command, "--backlog", "4096", "--timeout-graceful-shutdown", "2"]


def ingest_arguments(port: str) -> list[str]:
    """How Python runs ingest: the protocol's short way, robots' sockets without compression."""
    command = ["-m", "uvicorn", "config.ingest:application", "--host", LOOPBACK, "--port", port]
    command += ["--http", "heartbeat.ingest.protocol:RobotsProtocol", "--no-proxy-headers"]
    command += [
        "--ws",
        "heartbeat.direct_socket:DirectSocket",
        "--ws-per-message-deflate",
        "false",
        "--ws-max-size",
        "131072",
    ]
    return [*command, "--no-access-log", "--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "3"]


class Programs:
    """Makes the `Program` of each process for one layout and environment."""

    def __init__(self, layout: Layout, env: Mapping[str, str]) -> None:
        self.layout = layout
        self.env = env
        self.envoy = Envoy(layout.envoy_state, TEMPLATE, layout.ports)

    def postgres(self, server: Postgres) -> Program:
        """The database; `server.prepare()` must have run."""
        return Program(
            "postgres",
            server.argv,
            self._plain_env(),
            Path("/"),
            ready=holds(server.is_ready),
            uid=server.uid,
            stop_signal=FAST_SHUTDOWN,
            grace_seconds=20,
        )

    def redis(self, server: Redis) -> Program:
        """The broker; `server.prepare()` must have run."""
        return Program("redis", server.argv, self._plain_env(), server.data, ready=holds(server.is_ready))

    def preparation(self) -> Program:
        """Migrations, first routes and logins: to be run to its end, it prints the logins."""
        return self._python("preparation", ["-W", "ignore", "-m", "embedded.preparation"])

    def beside_preparation(self) -> list[Program]:
        """What needs no table to start: the legacy server, and pages that nobody can reach before the doors open."""
        legacy = ["-m", "simulator.legacy", "--port", self._port("LEGACY_PORT")]
        legacy += ["--deployments", str(self.layout.state / "legacy" / "deployments.json")]
        legacy += ["--packages", str(self.layout.state / "legacy" / "packages")]
        site = ["-m", "daphne", "-v", "0", "-b", LOOPBACK, "-p", self._port("SITE_PORT"), "--no-server-name"]
        live = live_arguments(self._port("LIVE_PORT"))
        return [
            self._python("legacy", legacy, "LEGACY_PORT", answers(self.layout.ports["LEGACY_PORT"], "/api/robots")),
            self._python("site", [*site, "config.asgi:application"], "SITE_PORT"),
            self._python("live", live, "LIVE_PORT"),
        ]

    def on_the_database(self) -> list[Program]:
        """The new system and the workers. It must answer before the doors open: Envoy would eject it."""
        celery = ["-m", "celery", "-A", "config"]
        worker = [*celery, "worker", "--pool", "threads", "--concurrency", "4", "--loglevel", "WARNING"]
        worker += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        schedule = str(self.layout.state / "celerybeat-schedule")
        beat = [*celery, "beat", "--loglevel", "WARNING", "--pidfile=", "-s", schedule]
        return [
            self._python("ingest", ingest_arguments(self._port("INGEST_PORT")), "INGEST_PORT"),
            self._python("worker", worker, says="[queues]"),
            self._python("beat", beat, says="is starting"),
        ]

    def guards(self) -> list[Program]:
        """Who watches the doors, which would raise an alarm before those are open, and the relay to legacy."""
        return [
            self._python("watchdog", ["manage.py", "watchdog"], says="loop.started"),
            self._python("watchdog-standby", ["manage.py", "watchdog"], says="loop.started"),
            self._python("route-agent", ["manage.py", "route_agent"], says="loop.started"),
            self._python("notifier", ["manage.py", "notifier"], says="loop.started"),
            self._python("watcher", ["manage.py", "watcher"], says="loop.started"),
            self._python("watcher-standby", ["manage.py", "watcher"], says="loop.started"),
            self._python("teleop-watcher", ["manage.py", "teleop_watcher"], says="loop.started"),
            self._python("teleop-watcher-standby", ["manage.py", "teleop_watcher"], says="loop.started"),
            self._python("sync", ["manage.py", "sync_legacy_to_new", "--continuous"], says="loop.started"),
            self._python("relay", ["manage.py", "relay"], says="relay.started"),
        ]

    def door(self) -> Program:
        """Envoy; the route files must be there."""
        self.envoy.render()
        admin = self.layout.ports["ENVOY_ADMIN_PORT"]
        port = self.layout.ports["ROBOTS_DOOR_PORT"]
        return Program(
            "envoy", self.envoy.argv, self._plain_env(), self.envoy.state, ready=answers(admin, "/ready"), port=port
        )

    def monitoring(self, both: Monitoring) -> list[Program]:
        """Prometheus and Alertmanager; `both.render()` must have run."""
        found = (
            ("prometheus", both.prometheus, "PROMETHEUS_PORT"),
            ("alertmanager", both.alertmanager, "ALERTMANAGER_PORT"),
        )
        return [
            Program(
                name,
                command,
                self._plain_env(),
                self.layout.state,
                ready=answers(self.layout.ports[variable], "/-/ready"),
                port=self.layout.ports[variable],
            )
            for name, command, variable in found
        ]

    def fleet(self) -> Program:
        """The robots."""
        ledger = self.layout.ledger
        ledger.parent.mkdir(parents=True, exist_ok=True)
        if ledger.exists() and ledger.stat().st_size > LEDGER_LIMIT_BYTES:
            ledger.replace(ledger.with_suffix(".1"))
        command = ["-m", "simulator.fleet", "--door", self.layout.url("ROBOTS_DOOR_PORT")]
        command += ["--robots", str(self.layout.robots), "--interval", str(ROBOT_INTERVAL_SECONDS)]
        command += ["--v2-share", str(self.layout.v2_share)]
        command += ["--vanish", SILENCES] if self.layout.robots >= SILENCES_FROM_ROBOTS else []
        # In its environment, not in its arguments: those everybody on the machine can read.
        token = enrolment_token_of(self.layout.state).read_text()
        program = self._python("fleet", [*command, "--ledger", str(ledger)])
        return replace(program, env={"FLEET_ENROLMENT_TOKEN": token, **program.env})

    def _python(
        self,
        name: str,
        arguments: list[str],
        port_variable: str | None = None,
        ready: Condition | None = None,
        says: str = "",
    ) -> Program:
        port = self.layout.ports[port_variable] if port_variable else None
        if ready is None and port is not None:
            ready = port_open(port)
        return Program(name, [sys.executable, *arguments], self.env, ROOT, ready=ready, port=port, says=says)

    def _plain_env(self) -> dict[str, str]:
        """No secrets and no Python settings for what is not ours."""
        return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}

    def _port(self, variable: str) -> str:
        return str(self.layout.ports[variable])
