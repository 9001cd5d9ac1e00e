"""What `benchmarks.ingest` runs, and what each kind of load is aimed at.

The server that is asked (no-op, ingest or DRF, one process each) has a core to itself; PostgreSQL and the load share
the others, so that no server waits for a core that the load has. PostgreSQL gives way to the load, as robots elsewhere
would not wait for it. Envoy runs anywhere.

PostgreSQL has written WAL before, as one that has run for a while: a segment that has to be made costs whoever commits
tens of milliseconds (INGEST.md, "Traps").
"""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import psutil
import psycopg

from benchmarks.bodies import robot_id
from benchmarks.load import Job, Result, measure
from embedded.envoy import TEMPLATE, Envoy
from embedded.places import runtime_directory
from embedded.ports import free_ports
from embedded.postgres import Postgres
from embedded.programs import ingest_arguments
from migration.drivers.route_file import RouteFile
from migration.rules.plans import RoutePlan

ROOT = Path(__file__).resolve().parent.parent
ROBOTS = 10_000
#: how nice PostgreSQL is to the load
GIVES_WAY = 5
#: checkpoints come by time, not by WAL, and what is written at first is used again
WAL_SETTINGS = {"max_wal_size": "6GB", "min_wal_size": "3GB"}
WAL_MEGABYTES = 3_072
UVICORN = ["-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--timeout-keep-alive", "75"]
FAST = ["--http", "heartbeat.ingest.protocol:RobotsProtocol", "--no-proxy-headers"]
FAST += ["--ws", "heartbeat.direct_socket:DirectSocket", "--ws-per-message-deflate", "false"]


@dataclass
class Setup:
    """What runs, and what each kind of load is aimed at."""

    postgres: Postgres
    tokens: Path
    acknowledged: Path
    ports: dict[str, int]
    servers: dict[str, psutil.Process]
    first: dict[str, int] = field(default_factory=dict)

    def job(self, kind: str, seconds: float, per_second: float = 0) -> Job:
        """A round of one kind, going on where the one before ended."""
        connections = {"drf": 16, "batch": 16}.get(kind, 256)
        return Job(
            kind="v2" if kind == "envoy" else kind,
            port=self.ports[kind],
            seconds=seconds,
            connections=connections,
            robots=ROBOTS,
            first=self.first.get(_runs_of(kind), 0),
            tokens="" if kind == "legacy" else str(self.tokens),
            per_second=per_second,
            reconnect=kind == "drf",
            acknowledged=str(self.acknowledged) if _runs_of(kind) == "v2" else "",
            cores=[] if kind == "envoy" else _cores()[1],
        )

    def round(self, kind: str, seconds: float, per_second: float = 0) -> tuple[Result, float]:
        """Run one; returns what came of it and the CPU seconds of the server and of PostgreSQL."""
        before = self._cpu(kind)
        result = measure(self.job(kind, seconds, per_second))
        self.first[_runs_of(kind)] = max(self.first.get(_runs_of(kind), 0), result.next_first - 1_000_000_000 + 1)
        return result, self._cpu(kind) - before

    def beside(self, seconds: float, per_second: float) -> tuple[Result, Result]:
        """Single heartbeats of one half of the robots while the other half sends backlogs as fast as it can."""
        half = ROBOTS // 2
        singles, batches = self.job("v2", seconds, per_second), self.job("batch", seconds)
        singles.robots = batches.without = half
        with ThreadPoolExecutor() as pool:
            both = list(pool.map(measure, (singles, batches)))
        self.first["v2"] = max(result.next_first for result in both) - 1_000_000_000 + 1
        return both[0], both[1]

    def _cpu(self, kind: str) -> float:
        server = self.servers["ingest" if kind not in ("noop", "drf") else kind]
        assert self.postgres.pid
        postmaster = psutil.Process(self.postgres.pid)
        return sum(_seconds(one) for one in (server, *server.children(), postmaster, *postmaster.children()))


def _cores() -> tuple[list[int], list[int]]:
    """The core of whatever is asked, and those of all else; the same where there is only one."""
    first, *others = sorted(os.sched_getaffinity(0))
    return [first], others or [first]


def _pin(process: psutil.Process, cores: list[int]) -> None:
    for one in (process, *process.children(recursive=True)):
        one.cpu_affinity(cores)


def _give_way(process: psutil.Process) -> None:
    for one in (process, *process.children(recursive=True)):
        one.nice(GIVES_WAY)


def _runs_of(kind: str) -> str:
    """Whose sequence numbers a kind of load uses: all v2 robots are the same ones."""
    return "v2" if kind in ("v2", "envoy", "batch", "websocket") else kind


def _seconds(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


@contextlib.contextmanager
def running(directory: Path, wal_settings: Mapping[str, str] = WAL_SETTINGS) -> Iterator[Setup]:
    """Everything, on free ports."""
    state = directory / "pg"
    state.mkdir()
    postgres = Postgres(state / "data", runtime_directory(state), settings=wal_settings)
    with contextlib.ExitStack() as stack:
        postgres.start()
        stack.callback(postgres.remove)
        stack.callback(postgres.stop)
        _write_wal(postgres.url)
        environment = {
            **os.environ,
            **{"DATABASE_URL": postgres.url, "SECRET_KEY": "benchmark", "DJANGO_SETTINGS_MODULE": "config.settings"},
            **{"ROBOT_CALLS_PER_SECOND": "1000000", "ROBOT_CALLS_BURST": "1000000", "LOG_LEVEL": "WARNING"},
        }
        migrate = [sys.executable, "-W", "ignore", "manage.py", "migrate", "-v", "0", "--skip-checks"]
        subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
        tokens = _issue_tokens(postgres.url, directory / "tokens")
        _prepare_drf(environment, tokens)
        ports = dict(zip(("noop", "v2", "drf"), free_ports(3), strict=True))
        commands = {
            "noop": [*UVICORN, *FAST, "benchmarks.noop:application", "--port", str(ports["noop"])],
            "ingest": [*ingest_arguments(str(ports["v2"])), "--log-level", "warning"],
            "drf": ["-m", "gunicorn", "-w", "1", "-b", f"127.0.0.1:{ports['drf']}", "benchmarks.drf_site:application"],
        }
        servers = {}
        for name, command in commands.items():
            process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
            stack.callback(_end, process)
            servers[name] = psutil.Process(process.pid)
        for port in ports.values():
            wait_for_port(port)
        for server in servers.values():
            _pin(server, _cores()[0])
        _pin(psutil.Process(postgres.pid), _cores()[1])
        _give_way(psutil.Process(postgres.pid))
        ports |= dict.fromkeys(("legacy", "batch", "websocket"), ports["v2"])
        ports["envoy"] = _door(stack, directory / "envoy", ports["v2"])
        yield Setup(postgres, tokens, directory / "acknowledged", ports, servers)


def _write_wal(database_url: str) -> None:
    """Write WAL that means nothing; the checkpoint keeps its segments to be used again, as many as the settings say."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        message = "pg_logical_emit_message(false, 'benchmark', repeat(md5(n::text), 32768))"
        connection.execute(f"SELECT count({message}) FROM generate_series(1, {WAL_MEGABYTES}) AS n")
        connection.execute("CHECKPOINT")


def _issue_tokens(database_url: str, path: Path) -> Path:
    tokens = [f"lkr_{secrets.token_urlsafe(32)}" for _ in range(ROBOTS)]
    path.write_text("\n".join(tokens))
    columns = "(robot_key, robot_id, digest, prefix, created_at, created_by)"
    statement = f"COPY heartbeat_robottoken {columns} FROM STDIN"
    with psycopg.connect(database_url) as connection, connection.cursor().copy(statement) as copy:
        for number, token in enumerate(tokens):
            name = robot_id(number)
            digest = sha256(token.encode()).digest()
            copy.write_row((name.encode(), name, digest, token[:8], "2026-01-01T00:00:00Z", "benchmark"))
    return path


def _prepare_drf(environment: dict[str, str], tokens: Path) -> None:
    script = (
        "import sys; from benchmarks import bodies, drf_site;"
        "drf_site.prepare([(bodies.robot_id(n), t) for n, t in enumerate(open(sys.argv[1]).read().split())])"
    )
    subprocess.run([sys.executable, "-c", script, str(tokens)], cwd=ROOT, env=environment, check=True)


def _door(stack: contextlib.ExitStack, state: Path, ingest: int) -> int:
    """The robots' door with everything on `new`; nobody answers for legacy."""
    robots, own, admin, *unused = free_ports(6)
    ports = {"ROBOTS_DOOR_PORT": robots, "OWN_DOOR_PORT": own, "ENVOY_ADMIN_PORT": admin, "INGEST_PORT": ingest}
    ports |= dict(zip(("LIVE_PORT", "LEGACY_PORT", "SITE_PORT"), unused, strict=True))
    RouteFile(state).initialise(RoutePlan("full_100", 100, shadow=False, failover_to_new=True, accept_v2=True))
    envoy = Envoy(state, TEMPLATE, ports)
    envoy.start()
    stack.callback(envoy.stop)
    return robots


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=20)


def wait_for_port(port: int) -> None:
    """Wait until something listens there, at most 30 s."""
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
