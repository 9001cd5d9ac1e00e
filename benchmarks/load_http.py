"""Load on HTTP: each connection carries the calls of some robots, one after the other.

No event loop of a library, which was a quarter of what a call cost the load: it shares its core with PostgreSQL.
"""

import heapq
import random
import select
import socket
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.load import Job, Request, Tally

_READ, _WRITE = select.EPOLLIN, select.EPOLLOUT
MOST_BYTES_READ = 65_536
#: how long answers are waited for when the time is over
PATIENCE_SECONDS = 10.0
_clock = time.perf_counter


def _is_whole(data: bytes) -> bool:
    head = data.find(b"\r\n\r\n")
    place = data.find(b"ontent-length: ") if b"ontent-length: " in data else data.find(b"ontent-Length: ")
    return head >= 0 and len(data) >= head + 4 + int(data[place + 15 : data.find(b"\r", place)])


class _Connection:
    """One connection, and the call that it waits for the answer of."""

    __slots__ = ("answer", "count", "due", "left", "recv", "requests", "robot", "send", "sent_at", "sequence", "socket")

    def __init__(self, requests: "Iterator[Request]") -> None:
        self.requests = requests
        self.answer = self.left = b""
        self.sent_at = self.due = 0.0
        #: how many heartbeats are on their way
        self.count = 0

    def open(self, port: int) -> int:
        """Connect; returns the number that polling knows it by."""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.send, self.recv = self.socket.send, self.socket.recv
        return self.socket.fileno()


class Robots:
    """All connections of a run."""

    def __init__(self, tally: "Tally", job: "Job", requests: "list[Iterator[Request]]") -> None:
        self._tally = tally
        self._job = job
        self._made = [_Connection(each) for each in requests]
        self._by_number: dict[int, _Connection] = {}
        self._poll = select.epoll()
        self._pause = job.connections / job.per_second if job.per_second else 0.0
        #: when which connection sends its next call, if they do not send as soon as they can
        self._coming: list[tuple[float, int]] = []
        #: whole answers to heartbeats are all of one length
        self._usual_length = 0

    def run(self) -> None:
        """Send until the time is over, then wait for the last answers."""
        tally = self._tally
        for made in self._made:
            number = self._open(made)
            if self._pause:
                # Opened one after the other they must not keep step: robots know nothing of each other.
                self._wait(number, made, _clock() + random.random() * self._pause)
            else:
                self._send(made)
        while self._by_number and _clock() < tally.stop_at + PATIENCE_SECONDS:
            for number, events in self._poll.poll(self._until_next(), len(self._made)):
                made = self._by_number[number]
                if made.left and not events & _READ:
                    self._send_rest(number, made)
                else:
                    self._read(number, made)
            self._send_what_is_due()
        tally.failed += sum(made.count for made in self._by_number.values())

    def _until_next(self) -> float:
        """How many seconds to wait for an answer at most: until a call is due, or to look at the time again."""
        return max(0.0, min(0.1, self._coming[0][0] - _clock())) if self._coming else 0.1

    def _open(self, made: _Connection) -> int:
        number = made.open(self._job.port)
        self._by_number[number] = made
        self._poll.register(number, _READ)
        return number

    def _wait(self, number: int, made: _Connection, due: float) -> None:
        made.due = due
        heapq.heappush(self._coming, (due, number))

    def _send_what_is_due(self) -> None:
        now = _clock()
        while self._coming and (self._coming[0][0] <= now or now >= self._tally.stop_at):
            _, number = heapq.heappop(self._coming)
            made = self._by_number.get(number)
            if made is None:  # the server has closed it
                continue
            if now < self._tally.stop_at:
                self._send(made)
            else:
                self._close(number, made)

    def _send(self, made: _Connection) -> None:
        request, made.robot, made.sequence, made.count = next(made.requests)
        made.sent_at = _clock()
        try:
            sent = made.send(request)
        except ConnectionError:  # reading tells of it
            return
        if sent < len(request):
            made.left = request[sent:]
            self._poll.modify(made.socket.fileno(), _WRITE)

    def _send_rest(self, number: int, made: _Connection) -> None:
        made.left = made.left[made.send(made.left) :]
        if not made.left:
            self._poll.modify(number, _READ)

    def _read(self, number: int, made: _Connection) -> None:
        try:
            data = made.recv(MOST_BYTES_READ)
        except ConnectionError:
            data = b""
        if not data:
            self._lost(number, made)
            return
        if made.answer:
            data = made.answer + data
        if len(data) != self._usual_length or data[9:12] != b"200":
            if not _is_whole(data):
                made.answer = data
                return
            self._usual_length = len(data)
        made.answer = b""
        now = _clock()
        self._count(made, data, now)
        if now >= self._tally.stop_at:
            self._close(number, made)
        elif self._job.reconnect:
            self._close(number, made)
            self._open(made)
            self._send(made)
        elif self._pause:
            self._wait(number, made, made.due + self._pause)
        else:
            self._send(made)

    def _count(self, made: _Connection, answer: bytes, now: float) -> None:
        tally = self._tally
        tally.latencies.append(now - made.sent_at)
        if answer[9:12] in (b"200", b"201"):
            tally.acknowledged += made.count
            tally.numbers.append(made.robot)
            tally.numbers.append(made.sequence)
        else:
            if not tally.refused:
                print(answer[:600].decode(errors="replace"), file=sys.stderr)
            tally.refused += made.count
        made.count = 0

    def _lost(self, number: int, made: _Connection) -> None:
        """The server closed the connection."""
        self._close(number, made)
        self._tally.failed += made.count
        made.count = 0
        if self._job.reconnect and _clock() < self._tally.stop_at:
            self._open(made)
            self._send(made)

    def _close(self, number: int, made: _Connection) -> None:
        self._poll.unregister(number)
        del self._by_number[number]
        made.socket.close()
