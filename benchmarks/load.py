"""Load on an HTTP server, as cheap as one core gives it: raw bytes out, the least of parsing in.

`python -m benchmarks.load` is run by the benchmarks as a process of its own: it reads a `Job` from stdin and answers
with a `Result`, both as JSON.
"""

import asyncio
import gc
import json
import os
import random
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
        self.opening: set[asyncio.Future[object]] = set()
        self.acknowledged = self.refused = self.failed = 0
        self.latencies = array("d")
        self.numbers = array("Q")
        self.stop_at = 0.0
        self.open = 0


class Robots(asyncio.Protocol):
    """One connection that carries the calls of some robots, one after the other."""

    def __init__(self, tally: Tally, requests: Iterator[Request], job: Job) -> None:
        self._tally = tally
        self._requests = requests
        self._job = job
        self._pause = job.connections / job.per_second if job.per_second else 0.0
        self._due = 0.0
        self._data = b""
        self._answered = True
        self._length_before = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's callback."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._tally.open += 1
        now = time.perf_counter()
        if self._due or not self._pause:
            self._due = self._due or now
            self._send()
            return
        # Connections that were opened one after the other must not keep step: robots know nothing of each other.
        self._due = now + random.random() * self._pause
        asyncio.get_running_loop().call_later(self._due - now, self._send_first)

    def _send_first(self) -> None:
        if not self._transport.is_closing():
            self._send()

    def _send(self) -> None:
        request, self._robot, self._sequence, self._count = next(self._requests)
        self._answered = False
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Asyncio's callback: the answer, in one piece nearly always."""
        data = self._data + data if self._data else data
        # Whole answers to heartbeats are all of one length.
        if len(data) != self._length_before or data[9:12] != b"200":
            if not _is_whole(data):
                self._data = data
                return
            self._length_before = len(data)
        self._data = b""
        self._answered = True
        now = time.perf_counter()
        self._count_answer(data, now)
        if now >= self._tally.stop_at or self._job.reconnect:
            self._transport.close()
        elif self._pause:
            self._due += self._pause
            asyncio.get_running_loop().call_later(max(0.0, self._due - now), self._send)
        else:
            self._send()

    def _count_answer(self, data: bytes, now: float) -> None:
        tally = self._tally
        tally.latencies.append(now - self._sent)
        if data[9:12] in (b"200", b"201"):
            tally.acknowledged += self._count
            tally.numbers.append(self._robot)
            tally.numbers.append(self._sequence)
            return
        if not tally.refused:
            print(data[:600].decode(errors="replace"), file=sys.stderr)
        tally.refused += self._count

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's callback."""
        self._tally.open -= 1
        if time.perf_counter() >= self._tally.stop_at:
            return
        if not self._answered:
            self._tally.failed += self._count
        if self._job.reconnect:
            again = asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._job.port)
            self._tally.opening.add(task := asyncio.ensure_future(again))
            task.add_done_callback(self._tally.opening.discard)


def _is_whole(data: bytes) -> bool:
    head = data.find(b"\r\n\r\n")
    place = data.find(b"ontent-length: ") if b"ontent-length: " in data else data.find(b"ontent-Length: ")
    return head >= 0 and len(data) >= head + 4 + int(data[place + 15 : data.find(b"\r", place)])


async def run(job: Job, requests: Requests) -> Result:
    """Open the connections, send until the time is over."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    made = [_connection(tally, job, requests, number) for number in range(job.connections)]
    gc.collect()
    gc.disable()  # a pause of the load would be read as one of the server
    began = time.perf_counter()
    tally.stop_at = began + job.seconds
    for protocol in made:
        await loop.create_connection(lambda one=protocol: one, "127.0.0.1", job.port)
    await asyncio.sleep(tally.stop_at - time.perf_counter())
    await _until(lambda: not tally.open, seconds=10)
    return result_of(tally, job, time.perf_counter() - began)


def _connection(tally: Tally, job: Job, requests: Requests, number: int) -> asyncio.Protocol:
    if job.kind != "websocket":
        return Robots(tally, requests(job, number), job)
    return RobotOnASocket(tally, job, number)


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.perf_counter() + seconds
    while not holds() and time.perf_counter() < deadline:  # noqa: ASYNC110 - the end of a run, once
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
    result = uvloop.run(run(job, bodies.REQUESTS[job.kind]))
    sys.stdout.write(json.dumps(msgspec.to_builtins(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
