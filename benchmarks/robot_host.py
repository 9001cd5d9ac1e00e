"""A stand-in for a robot's host program: the same sockets, and it numbers and counts what goes through them.

    python -m benchmarks.robot_host [--command-port P] [--observation-port P] [--hz 30] [--conflate]

It binds ZMQ PULL for commands and PUSH for observations, as the LeKiwi host does, prints its ports as JSON, and reads
lines: `quiet` sends no more frames; the end of input ends it. Both times it prints what it has counted. Without
--conflate every message counts (a newer host's multipart messages cannot be conflated either); with it, the latest
only, as older hosts do.
"""

import argparse
import json
import selectors
import sys
import time
from collections import Counter
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

FRAME_BYTES = 20_000
DRAIN_SECONDS = 2.0


class RobotHost:
    """The sockets and the counts."""

    def __init__(self, command_port: int, observation_port: int, conflate: bool) -> None:
        """Bind; port 0 takes a free one."""
        self._context = zmq.Context()
        self.counts: Counter[str] = Counter(frames=0, commands=0, command_connections=0, observation_connections=0)
        self._numbers: set[int] = set()
        self.commands, self._command_monitor = self._socket(zmq.PULL, conflate)
        self.observations, self._observation_monitor = self._socket(zmq.PUSH, conflate)
        self.ports = {
            "command_port": _bind(self.commands, command_port),
            "observation_port": _bind(self.observations, observation_port),
        }

    def _socket(self, kind: int, conflate: bool) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        made = self._context.socket(kind)
        if conflate:
            made.setsockopt(zmq.CONFLATE, 1)
        made.setsockopt(zmq.LINGER, 0)
        return made, made.get_monitor_socket(zmq.EVENT_ACCEPTED)

    def take_commands(self, wait_ms: int = 0) -> bool:
        """Everything that has arrived; whether it was anything."""
        took = False
        while self.commands.poll(0 if took else wait_ms):
            self._numbers.add(json.loads(self.commands.recv())["number"])
            took = True
        return took

    def send_frame(self) -> None:
        """One observation; nobody who reads, no frame."""
        body: dict[str, Any] = {"number": self.counts["frames"], "x.vel": 0.0, "front": "x" * FRAME_BYTES}
        try:
            self.observations.send(json.dumps(body).encode(), zmq.NOBLOCK)
        except zmq.Again:
            return
        self.counts["frames"] += 1

    def counted(self) -> dict[str, int]:
        """How many frames were sent, which commands came, how many connections were ever accepted on each port."""
        for name, monitor in (("command", self._command_monitor), ("observation", self._observation_monitor)):
            while monitor.poll(0):
                recv_monitor_message(monitor)
                self.counts[f"{name}_connections"] += 1
        self.counts["commands"] = len(self._numbers)
        return dict(self.counts)

    def close(self) -> None:
        """Close everything."""
        self.commands.disable_monitor()
        self.observations.disable_monitor()
        self._context.destroy(linger=0)


def _bind(socket: "zmq.Socket[bytes]", port: int) -> int:
    if port == 0:
        return socket.bind_to_random_port("tcp://127.0.0.1")
    socket.bind(f"tcp://127.0.0.1:{port}")
    return port


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command-port", type=int, default=0)
    parser.add_argument("--observation-port", type=int, default=0)
    parser.add_argument("--hz", type=float, default=30.0)
    parser.add_argument("--conflate", action="store_true")
    parser.add_argument("--host.connection_time_s", type=float, help="taken as the real host takes it, and not obeyed")
    given = parser.parse_args()
    host = RobotHost(given.command_port, given.observation_port, given.conflate)
    print(json.dumps(host.ports), flush=True)
    talks, due = True, time.monotonic()
    with selectors.DefaultSelector() as lines:
        lines.register(sys.stdin, selectors.EVENT_READ)
        while True:
            if lines.select(max(0.0, due - time.monotonic())):
                if not sys.stdin.readline():
                    break
                talks = False
                print(json.dumps(host.counted()), flush=True)
                continue
            due = max(due + 1 / given.hz, time.monotonic())
            host.take_commands()
            if talks:
                host.send_frame()
    over = time.monotonic() + DRAIN_SECONDS
    while host.take_commands(wait_ms=200) and time.monotonic() < over:
        pass  # what is under way; an operator who goes on sending does not keep the host
    print(json.dumps(host.counted()), flush=True)
    host.close()


if __name__ == "__main__":
    main()
