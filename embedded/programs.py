"""The processes of the system: commands, and when each is ready (docs/architecture.md)."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from embedded.children import FAST_SHUTDOWN
from embedded.conditions import Condition, answers, holds, port_open
from embedded.envoy import TEMPLATE, Envoy
from embedded.layout import ROOT, Layout
from embedded.monitoring import Monitoring
from embedded.ports import LOOPBACK
from embedded.postgres import Postgres
from embedded.redis import Redis
from embedded.statedir import enrolment_token_of
from embedded.supervisor import Program
from embedded.variables import ROBOT_INTERVAL_SECONDS

#: six robots fall silent in every larger fleet, soon and for half a minute, so that the report has silences to compare
SILENCES, SILENCES_FROM_ROBOTS = "6@20+30", 100
#: 200 robots write 100 MB an hour; at the next start a ledger beyond this is set aside
LEDGER_LIMIT_BYTES = 200_000_000


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
