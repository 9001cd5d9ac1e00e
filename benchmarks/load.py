"""Load on an HTTP server, as cheap as one core gives it: raw bytes out, the least of parsing in.

`python -m benchmarks.load` is run by the benchmarks as a process of its own: it reads a `Job` from stdin and answers
with a `Result`, both as JSON.
"""

import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import uvloop

from benchmarks import bodies
from benchmarks.load_http import PATIENCE_SECONDS, Robots
from benchmarks.load_ws import RobotOnASocket

ROOT = Path(__file__).resolve().parent.parent


class Job(msgspec.Struct):
    """`kind` names what is sent (`benchmarks.bodies`); `per_second` of 0 means as fast as answers come."""

    kind: str
    port: int
    seconds: float
    connections: int = 256
    robots: int = 10_000
    without: int = 0
    """so many robots at the beginning stay silent"""
    first: int = 0
    """the first sequence number of every robot"""
    tokens: str = ""
    """a file with one token a line, by robot"""
    per_second: float = 0
    batch: int = 1_000
    reconnect: bool = False
    """a connection for each request, as the server wants it"""
    acknowledged: str = ""
    """a file to write robot and sequence of each acknowledged heartbeat to"""
    cores: list[int] = []
    """where to run; anywhere if there are none"""


class Result(msgspec.Struct):
    """Heartbeats (not requests) acknowledged, refused and failed; the quantiles are of requests, in milliseconds."""

    acknowledged: int
    refused: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: float
    next_first: int

    @property
    def per_second(self) -> float:
        """Heartbeats acknowledged a second."""
        return self.acknowledged / self.seconds


def measure(job: Job) -> Result:
    """Run a job in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=msgspec.json.encode(job),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Result)


#: the bytes, which robot, which sequence number is its first, how many heartbeats it holds
Request = tuple[bytes, int, int, int]
Requests = Callable[[Job, int], Iterator[Request]]


class Tally:
    """What came of a run."""

    def __init__(self) -> None:
        self.acknowledged = self.refused = self.failed = 0
        self.latencies = array("d")
        self.numbers = array("Q")
        self.stop_at = 0.0
        self.open = 0


def run(job: Job, requests: Requests) -> Result:
    """Open the connections, send until the time is over."""
    tally = Tally()
    robots = None if job.kind == "websocket" else Robots(tally, job, [requests(job, n) for n in range(job.connections)])
    sockets = [] if robots else [RobotOnASocket(tally, job, number) for number in range(job.connections)]
    gc.collect()
    gc.disable()  # a pause of the load would be read as one of the server
    began = time.perf_counter()
    tally.stop_at = began + job.seconds
    if robots:
        robots.run()
    else:
        uvloop.run(_run_sockets(tally, job, sockets))
    return result_of(tally, job, time.perf_counter() - began)


async def _run_sockets(tally: Tally, job: Job, sockets: list[RobotOnASocket]) -> None:
    loop = asyncio.get_running_loop()
    for protocol in sockets:
        await loop.create_connection(lambda one=protocol: one, "127.0.0.1", job.port)
    await asyncio.sleep(tally.stop_at - time.perf_counter())
    deadline = time.perf_counter() + PATIENCE_SECONDS
    while tally.open and time.perf_counter() < deadline:  # noqa: ASYNC110 - the end of a run, once
        await asyncio.sleep(0.005)


def result_of(tally: Tally, job: Job, seconds: float) -> Result:
    """The figures of a run; writes down what was acknowledged."""
    if job.acknowledged:
        with Path(job.acknowledged).open("ab") as file:
            tally.numbers.tofile(file)
    ordered = sorted(tally.latencies) or [0.0]
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Result(
        acknowledged=tally.acknowledged,
        refused=tally.refused,
        failed=tally.failed,
        seconds=seconds,
        p50_ms=ordered[len(ordered) // 2] * 1000,
        p99_ms=ordered[int(len(ordered) * 0.99)] * 1000,
        cpu_seconds=used.ru_utime + used.ru_stime,
        next_first=max(tally.numbers[1::2], default=job.first) + job.batch + 1,
    )


def main() -> int:
    """One job from stdin."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    if job.cores:
        os.sched_setaffinity(0, job.cores)
    result = run(job, bodies.REQUESTS[job.kind])
    sys.stdout.write(json.dumps(msgspec.to_builtins(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
