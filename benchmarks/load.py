"""Load on an HTTP server, as cheap as one core gives it: raw bytes out, the least of parsing in.

`python -m benchmarks.load` is run by the benchmarks as a process of its own: it reads a `Job` from stdin and answers
with a `Result`, both as JSON.
"""

import asyncio
import json
import resource
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import uvloop

ROOT = Path(__file__).resolve().parent.parent


class Job(msgspec.Struct):
    """`kind` names what is sent (`benchmarks.bodies`); `per_second` of 0 means as fast as answers come."""

    kind: str
    port: int
    seconds: float
    connections: int = 256
    robots: int = 10_000
    first: int = 0
    """the first sequence number of every robot"""
    tokens: str = ""
    """a file with one token a line, by robot"""
    per_second: float = 0
    batch: int = 1_000
    acknowledged: str = ""
    """a file to write robot and sequence of each acknowledged heartbeat to"""


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


class Tally:
    """What came of a run."""

    def __init__(self) -> None:
        self.acknowledged = self.refused = self.failed = 0
        self.latencies = array("d")
        self.numbers = array("Q")
        self.stop_at = 0.0
        self.open = 0


class Robots(asyncio.Protocol):
    """One connection that carries the calls of some robots, one after the other."""

    def __init__(self, tally: Tally, requests: Iterator[tuple[bytes, int, int, int]], pause: float) -> None:
        self._tally = tally
        self._requests = requests
        self._pause = pause
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's callback."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._tally.open += 1
        self._due = time.perf_counter()
        self._send()

    def _send(self) -> None:
        request, self._robot, self._sequence, self._count = next(self._requests)
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Asyncio's callback: the answer, in one piece nearly always."""
        if self._data:
            data = self._data + data
        head = data.find(b"\r\n\r\n")
        if head < 0:
            self._data = data
            return
        place = (
            data.lower().find(b"content-length: ", 0, head + 2)
            if b"content-length: " not in data
            else data.find(b"content-length: ")
        )
        length = int(data[place + 16 : data.find(b"\r", place)])
        if len(data) < head + 4 + length:
            self._data = data
            return
        self._data = b""
        now = time.perf_counter()
        tally = self._tally
        tally.latencies.append(now - self._sent)
        if data[9:12] in (b"200", b"201"):
            tally.acknowledged += self._count
            tally.numbers.append(self._robot)
            tally.numbers.append(self._sequence)
        else:
            tally.refused += self._count
            if tally.refused == self._count:
                print(data[:600], file=sys.stderr)
        if now >= tally.stop_at:
            self._transport.close()
        elif self._pause:
            self._due += self._pause
            asyncio.get_running_loop().call_later(max(0.0, self._due - now), self._send)
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's callback."""
        self._tally.open -= 1
        if time.perf_counter() < self._tally.stop_at:
            self._tally.failed += self._count


Requests = Callable[[Job, int], Iterator[tuple[bytes, int, int, int]]]


async def run(job: Job, requests: Requests) -> Result:
    """Open the connections, send until the time is over."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    tally.stop_at = began + job.seconds
    pause = job.connections / job.per_second if job.per_second else 0.0
    for number in range(job.connections):
        await loop.create_connection(lambda n=number: Robots(tally, requests(job, n), pause), "127.0.0.1", job.port)
    await asyncio.sleep(job.seconds)
    while tally.open and time.perf_counter() < tally.stop_at + 10:
        await asyncio.sleep(0.01)
    seconds = time.perf_counter() - began
    return result_of(tally, job, seconds)


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
    from benchmarks.bodies import REQUESTS

    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    result = uvloop.run(run(job, REQUESTS[job.kind]))
    sys.stdout.write(json.dumps(msgspec.to_builtins(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
