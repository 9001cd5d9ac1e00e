"""An operator of `benchmarks.robot_host`, and a monitor that looks at the robot the wrong way."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import zmq


class Host:
    """The host as a process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.pid = process.pid
        ports = self._answer()
        self.command_port: int = ports["command_port"]
        self.observation_port: int = ports["observation_port"]

    def _answer(self) -> dict[str, int]:
        assert self._process.stdout is not None
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer

    def quiet(self) -> dict[str, int]:
        """Send no more frames; what was counted until now."""
        assert self._process.stdin is not None
        self._process.stdin.write("quiet\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> dict[str, int]:
        """Take what is under way, and end; what was counted in all."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._answer()


@contextlib.contextmanager
def host(*options: str) -> Iterator[Host]:
    """A host with these options, ended at the end."""
    arguments = [sys.executable, "-m", "benchmarks.robot_host", *options]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Host(process)
        finally:
            process.kill()


class Operator:
    """Sends numbered commands and reads numbered frames, in a thread."""

    def __init__(self, robot: Host, hz: float = 30.0) -> None:
        """Connect; nothing is sent before `start`."""
        self._context = zmq.Context()
        self._commands = self._context.socket(zmq.PUSH)
        self._observations = self._context.socket(zmq.PULL)
        self._commands.connect(f"tcp://127.0.0.1:{robot.command_port}")
        self._observations.connect(f"tcp://127.0.0.1:{robot.observation_port}")
        self._hz = hz
        self._drives, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.frames: list[int] = []
        self.sent = 0
        #: seconds since the machine's start
        self.first_sent_at: float | None = None
        self.last_sent_at: float | None = None
        self._thread.start()

    def start(self) -> None:
        """Send commands."""
        self._drives.set()

    def rest(self) -> None:
        """Send none, and go on reading."""
        self._drives.clear()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            if self._observations.poll(max(0.0, due - time.monotonic()) * 1000):
                self.frames.append(json.loads(self._observations.recv())["number"])
            if time.monotonic() >= due:
                due += 1 / self._hz
                if self._drives.is_set():
                    self._send()
        self._context.destroy(linger=0)

    def _send(self) -> None:
        command: dict[str, Any] = {"number": self.sent, "arm_shoulder_pan.pos": 1.5, "x.vel": 0.1, "theta.vel": 0.0}
        self._commands.send_string(json.dumps(command))
        self.sent += 1
        self.last_sent_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.first_sent_at = self.first_sent_at or self.last_sent_at

    def leave(self) -> None:
        """Disconnect."""
        self._over.set()
        self._thread.join()


class NaiveMonitor:
    """Connects to the observation port “only to look”, and so takes every second frame from the operator."""

    def __init__(self, robot: Host) -> None:
        self._context = zmq.Context()
        self._observations = self._context.socket(zmq.PULL)
        self._observations.connect(f"tcp://127.0.0.1:{robot.observation_port}")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.frames: list[int] = []
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            if self._observations.poll(50):
                self.frames.append(json.loads(self._observations.recv())["number"])
        self._context.destroy(linger=0)

    def leave(self) -> None:
        """Disconnect."""
        self._over.set()
        self._thread.join()


def until(holds: Any, seconds: float) -> bool:
    """Ask until it is true; whether it became so in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
