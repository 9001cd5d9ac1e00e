"""`python -m benchmarks.ingest`: how fast heartbeats are taken, durable, beside a no-op endpoint and a DRF view.

Everything runs on this machine at once: PostgreSQL (fsync and synchronous_commit on, its settings printed), one ingest
process, one gunicorn worker with the DRF view, the load. Rounds are interleaved; figures are medians.
"""

import contextlib
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks import reporting
from benchmarks.bodies import boot_id, robot_id
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
#: single heartbeats a second while backlogs come
SINGLES_BESIDE_BATCHES = 1_000
KINDS = ("noop", "v2", "legacy", "batch", "websocket", "envoy", "drf")
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


def _runs_of(kind: str) -> str:
    """Whose sequence numbers a kind of load uses: all v2 robots are the same ones."""
    return "v2" if kind in ("v2", "envoy", "batch", "websocket") else kind


def _seconds(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Setup]:
    """Everything, on free ports."""
    state = directory / "pg"
    state.mkdir()
    postgres = Postgres(state / "data", runtime_directory(state))
    with contextlib.ExitStack() as stack:
        postgres.start()
        stack.callback(postgres.remove)
        stack.callback(postgres.stop)
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
        ports |= dict.fromkeys(("legacy", "batch", "websocket"), ports["v2"])
        ports["envoy"] = _door(stack, directory / "envoy", ports["v2"])
        yield Setup(postgres, tokens, directory / "acknowledged", ports, servers)


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


def missing(setup: Setup) -> tuple[int, int]:
    """How many heartbeats were acknowledged by number, and how many of those the log does not have."""
    numbers = array("Q")
    numbers.frombytes(setup.acknowledged.read_bytes())
    acknowledged = {(numbers[place], numbers[place + 1]) for place in range(0, len(numbers), 2)}
    robots = {boot_id(number): number for number in range(ROBOTS)}
    with psycopg.connect(setup.postgres.url) as connection:
        rows = connection.execute(
            "SELECT b.boot_id, h.sequence FROM heartbeat_heartbeat h JOIN heartbeat_boot b ON b.id = h.boot_id"
        )
        stored = {(robots[boot], sequence) for boot, sequence in rows}
    return len(acknowledged), len(acknowledged - stored)


def bytes_per_heartbeat(database_url: str) -> float:
    """Size of the log with its indexes, by the number of its rows."""
    sizes = """
        SELECT sum(pg_total_relation_size(inhrelid)) / (SELECT count(*) FROM heartbeat_heartbeat)
        FROM pg_inherits WHERE inhparent = 'heartbeat_heartbeat'::regclass AND pg_relation_size(inhrelid) > 0
    """
    with psycopg.connect(database_url) as connection:
        row = connection.execute(sizes).fetchone()
    return float(row[0]) if row else 0.0


def main() -> int:
    """Run, print a table, write JSON."""
    parser = reporting.arguments("How fast heartbeats are taken, durable.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of one round")
    parser.add_argument("--only", default=",".join(KINDS), help="kinds of load, separated by commas")
    options = parser.parse_args()
    kinds = options.only.split(",")
    with tempfile.TemporaryDirectory() as directory, running(Path(directory)) as setup:
        setup.round("v2", options.seconds)  # every robot is met, and WAL segments exist to be used again
        size = bytes_per_heartbeat(setup.postgres.url)
        rounds: dict[str, list[tuple[Result, float]]] = {kind: [] for kind in kinds}
        for _ in range(options.rounds):
            for kind in kinds:
                rounds[kind].append(setup.round(kind, options.seconds))
                result, cpu = rounds[kind][-1]
                print(f"  {kind:10} {result.per_second:9,.0f}/s  p99 {result.p99_ms:6.1f} ms  "
                      f"{1e6 * cpu / max(1, result.acknowledged):6.1f} s/M", flush=True)  # fmt: skip
        rates = {kind: statistics.median(one.per_second for one, _ in made) for kind, made in rounds.items()}
        calm = rates.get("v2", 0) / 2 or 1_000
        halves = [setup.round("v2", options.seconds, per_second=calm)[0] for _ in range(options.rounds)]
        singles, batches = setup.beside(options.seconds, min(calm, SINGLES_BESIDE_BATCHES))
        acknowledged, lost = missing(setup)
    figures = _figures(rounds, rates)
    figures |= {
        "p99_ms_at_half": round(statistics.median(half.p99_ms for half in halves), 1),
        "half_per_s": round(statistics.median(half.per_second for half in halves)),
        **{"beside_p99_ms": round(singles.p99_ms, 1), "beside_single_per_s": round(singles.per_second)},
        "beside_batch_per_s": round(batches.per_second),
        **{"bytes_per_heartbeat": round(size, 1), "acknowledged": acknowledged, "missing": lost},
    }
    print(reporting.machine())
    print(reporting.table(_rows(rounds, rates)))
    print("\n".join(f"{name}: {value}" for name, value in figures.items()))
    reporting.write(figures, options.json)
    return 0 if lost == 0 else 1


def _figures(rounds: dict[str, list[tuple[Result, float]]], rates: dict[str, float]) -> dict[str, Any]:
    names = {"v2": "single", "websocket": "websocket"}
    figures: dict[str, Any] = {f"{names.get(kind, kind)}_per_s": round(rate) for kind, rate in rates.items()}
    for kind, key in (("v2", "ratio_to_drf"), ("legacy", "legacy_ratio_to_drf"), ("batch", "batch_ratio_to_drf")):
        if kind in rates and rates.get("drf"):
            figures[key] = round(rates[kind] / rates["drf"], 1)
    if "v2" in rates and rates.get("noop"):
        figures["ratio_to_noop"] = round(rates["v2"] / rates["noop"], 2)
    if "v2" in rounds:
        figures["cpu_s_per_million"] = round(_cpu_per_million(rounds["v2"]), 1)
    return figures


def _rows(rounds: dict[str, list[tuple[Result, float]]], rates: dict[str, float]) -> list[list[Any]]:
    rows: list[list[Any]] = [
        ["load", "heartbeats/s (median)", "rounds", "p50 / p99 ms", "CPU s a million", "refused", "failed"]
    ]
    for kind, made in rounds.items():
        results = [one for one, _ in made]
        middle = sorted(results, key=lambda one: one.per_second)[len(results) // 2]
        rows.append(
            [
                kind,
                f"{rates[kind]:,.0f}",
                " ".join(f"{one.per_second:,.0f}" for one in results),
                f"{middle.p50_ms:.1f} / {middle.p99_ms:.1f}",
                f"{_cpu_per_million(made):.1f}",
                sum(one.refused for one in results),
                sum(one.failed for one in results),
            ]
        )
    return rows


def _cpu_per_million(made: list[tuple[Result, float]]) -> float:
    return statistics.median(1e6 * cpu / max(1, one.acknowledged) for one, cpu in made)


if __name__ == "__main__":
    sys.exit(main())
