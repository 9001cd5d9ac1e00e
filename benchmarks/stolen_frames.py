"""Does watching take anything from the operator? The robot's agent, beside a monitor that connects to the frames.

    python -m benchmarks.stolen_frames [--json FILE] [--seconds 5]

A host with the robot's ZMQ sockets sends numbered frames, an operator reads them and sends numbered commands, and all
are counted: with nobody else, with `clients/agent`, and with a naive monitor. The agent has to have seen the operator:
who sees nothing takes nothing either.
"""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import reporting
from benchmarks.robot_operator import Host, NaiveMonitor, Operator, host, until

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = f"{ROOT / 'clients/agent'}{os.pathsep}{ROOT / 'clients/python'}"
LEAVE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Count:
    """One run. Stolen frames were sent and did not reach the operator; lost commands did not reach the host."""

    watched_by: str
    frames: int
    stolen_frames: int
    commands: int
    lost_commands: int
    foreign_connections: int
    #: reports that say that somebody operates
    seen: int


def measure(seconds: float = 5.0) -> dict[str, Any]:
    """The figures: `stolen_frames` is the agent's; the naive monitor's beside it show what is avoided."""
    counts = [_watched(by, watcher, seconds) for by, watcher in _WATCHERS.items()]
    agent, naive = counts[1], counts[2]
    if not agent.seen:
        raise RuntimeError("the agent did not see the operator, so that it took nothing proves nothing")
    return {
        "stolen_frames": agent.stolen_frames,
        "lost_commands": agent.lost_commands,
        "foreign_connections": agent.foreign_connections,
        "frames": agent.frames,
        "commands": agent.commands,
        "naive_stolen_frames": naive.stolen_frames,
        "naive_frames": naive.frames,
        "runs": [{name: getattr(each, name) for name in Count.__slots__} for each in counts],
    }


def _watched(by: str, watcher: Callable[[Host], Any], seconds: float) -> Count:
    with host() as robot:
        operator = Operator(robot)
        with watcher(robot) as seen:
            operator.start()
            time.sleep(seconds)
            operator.rest()
            sent = robot.quiet()["frames"]
            taken: list[int] = getattr(seen, "frames", [])
            until(lambda: len(operator.frames) + len(taken) >= sent, LEAVE_SECONDS)
        counted = robot.end()
        operator.leave()
    return Count(
        by,
        frames=sent,
        stolen_frames=len(set(range(sent)) - set(operator.frames)),
        commands=operator.sent,
        lost_commands=operator.sent - counted["commands"],
        foreign_connections=counted["command_connections"] + counted["observation_connections"] - 2,
        seen=len([each for each in getattr(seen, "signals", []) if (each.get("command_age_ms") or 1e9) < 500]),
    )


@contextlib.contextmanager
def _nobody(robot: Host) -> Iterator[None]:
    yield


@contextlib.contextmanager
def _naive(robot: Host) -> Iterator[NaiveMonitor]:
    monitor = NaiveMonitor(robot)
    try:
        yield monitor
    finally:
        monitor.leave()


class _Door(http.server.BaseHTTPRequestHandler):
    """Takes the agent's signals."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.signals += body["signals"]  # type: ignore[attr-defined]
        self.send_response(202)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Not every call."""


@contextlib.contextmanager
def _agent(robot: Host) -> Iterator[Any]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Door) as door, tempfile.TemporaryDirectory() as directory:
        door.signals = []  # type: ignore[attr-defined]
        threading.Thread(target=door.serve_forever, daemon=True).start()
        layouts = Path(directory) / "layouts.toml"
        layouts.write_text(layout_of(robot))
        url = f"http://127.0.0.1:{door.server_port}"
        arguments = ["--url", url, "--robot-id", "bench", "--kind", "bench", "--layouts", str(layouts)]
        environment = {**os.environ, "PYTHONPATH": CLIENTS}
        process = subprocess.Popen(
            [sys.executable, "-m", "lekiwi_agent", *arguments, "--only", "signals"],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        try:
            if not until(lambda: door.signals, 20.0):  # type: ignore[attr-defined]
                raise RuntimeError("the agent reports nothing")
            yield door
        finally:
            process.terminate()
            process.wait(20)
            door.shutdown()


def layout_of(robot: Host, kind: str = "bench") -> str:
    """The stand-in's ports as an agent's layout, in TOML."""
    return (
        f"[{kind}]\ncommand_ports = [{robot.command_port}]\nobservation_ports = [{robot.observation_port}]\n"
        'host_programs = ["robot_host"]\nhost_runs_for_option = "--host.connection_time_s"\n'
        'units = ["no-such-unit.service"]\n'
    )


_WATCHERS: dict[str, Callable[[Host], Any]] = {"nobody": _nobody, "agent": _agent, "naive monitor": _naive}


def main() -> None:
    """Measure and print."""
    parser = reporting.arguments("Frames and commands that a watcher takes from an operator")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each run operates")
    given = parser.parse_args()
    figures = measure(given.seconds)
    names = list(Count.__slots__)
    print(reporting.table([names, *([run[name] for name in names] for run in figures["runs"])]))
    print(reporting.machine())
    reporting.write(figures, given.json)
    sys.exit(1 if figures["stolen_frames"] or figures["lost_commands"] or figures["foreign_connections"] else 0)


if __name__ == "__main__":
    main()
