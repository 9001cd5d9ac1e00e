"""The client as a robot's program uses it: values in, a background thread does the rest."""

import contextlib
import logging
import queue
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from lekiwi_heartbeat import words
from lekiwi_heartbeat.actions import Changed, Command, Drop, Dropped, Open, Post, Refused, Send, Wait
from lekiwi_heartbeat.core import Core
from lekiwi_heartbeat.frames import ProtocolError
from lekiwi_heartbeat.limits import Limits
from lekiwi_heartbeat.transport import Address, Requests, Socket, open_socket, wait_readable

log = logging.getLogger("lekiwi_heartbeat")

#: `(name, arguments)` → a detail for the operator (JSON); an exception tells that the command failed
CommandHandler = Callable[[str, Any], Any]


class Heartbeat:
    """Tells the fleet's heartbeat system how this robot is.

        with Heartbeat("https://fleet.example.org", "Lekiwi_5A3F", token=token, interval=5) as heartbeat:
            while drive():
                heartbeat.beat(battery_percent=battery())

    `beat` is cheap: call it in your loop. One heartbeat goes out each `interval` seconds with the latest values, at
    once when `status` changes. Nothing is sent unless `beat` is called: a thread that went on saying "alive" for a
    program that hangs would lie. Where there is no loop, give `read`, a function that returns the fields and is called
    each interval by the background thread.
    """

    def __init__(
        self,
        url: str,
        robot_id: str,
        *,
        token: str | None = None,
        interval: float = 30.0,
        read: Callable[[], Mapping[str, Any]] | None = None,
        on_command: CommandHandler | None = None,
        about: Mapping[str, Any] | None = None,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`about` holds what never changes: kind, site, firmware. Raises ValueError for an address that is none."""
        if not interval > 0:
            raise ValueError("interval: greater than 0 seconds")
        self._address = Address(url, tls)
        self._token = token
        self._interval = interval
        self._read = read
        self._on_command = on_command
        self._about = {"next_in_s": interval, **(about or {})}
        self._core = Core(robot_id, str(uuid.uuid4()), limits=limits)
        self._requests = Requests(self._address, token)
        self._socket: tuple[int, Socket] | None = None
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._latest: tuple[dict[str, Any], str] | None = None
        self._operation: Mapping[str, Any] | None = None
        self._status_sent: Any = None
        self._due_at = float("-inf")
        self._stopping = threading.Event()
        self._ear, self._wake = socket.socketpair()
        self._ear.setblocking(False)
        self._wake.setblocking(False)
        self._commands: queue.Queue[Command] = queue.Queue(maxsize=64)
        self._thread = threading.Thread(target=self._run, name="lekiwi-heartbeat", daemon=True)

    def start(self) -> "Heartbeat":
        """Begin to send."""
        self._thread.start()
        if self._on_command is not None:
            threading.Thread(target=self._obey, name="lekiwi-commands", daemon=True).start()
        return self

    def beat(self, **fields: Any) -> None:
        """The robot is alive, and this is how it is: fields of the v2 heartbeat, `status` among them.

        Raises TypeError or ValueError for what JSON cannot say (NaN), so that your test finds it, not the field.
        """
        words.encode(fields)
        with self._lock:
            self._latest = ({**self._about, **fields}, words.utc_now())
        self._nudge()

    def signal(self, **teleop: Any) -> None:
        """How operation stands: fields of the heartbeat's `teleop`. Call it in your loop, as `beat`.

        One goes out when something happened (somebody connects, commands start or stay away, the host ends), at most
        ten a second, and four a second while commands come. Say `next_in_ms` if yours come at least that often: then a
        robot that falls silent is noticed sooner. Raises TypeError or ValueError for what JSON cannot say.
        """
        words.encode(teleop)
        with self._lock:
            self._operation = teleop
        self._nudge()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was said is acknowledged; False when that takes longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._latest is None and not self._core.waiting, timeout)

    def stop(self, timeout: float = 2.0) -> bool:
        """Send what waits, then end. Returns whether everything was acknowledged."""
        self._due_at = float("-inf")
        self._nudge()
        flushed = self.flush(timeout) if self._thread.is_alive() else False
        self._stopping.set()
        self._nudge()
        if self._thread.is_alive():
            self._thread.join(timeout + 10.0)
        return flushed

    @property
    def counts(self) -> dict[str, int]:
        """How many heartbeats were made, acknowledged by each way, dropped, refused, and still wait."""
        return {**self._core.counts, "waiting": self._core.waiting}

    @property
    def boot_id(self) -> str:
        """The identity of this run of the program."""
        return self._core.boot_id

    def __enter__(self) -> "Heartbeat":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- the background thread ---

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._make_heartbeat(time.monotonic())
                self._hear()
                self._act()
        except Exception:
            log.exception("the heartbeat thread ended")
            raise
        finally:
            self._close_socket()
            self._requests.close()

    def _make_heartbeat(self, now: float) -> None:
        if self._read is not None and now >= self._due_at:
            self._read_now(now)
        with self._lock:
            if self._operation is not None:
                self._core.signal(self._operation, now)
                self._operation = None
            if self._latest is None:
                return
            fields, sent_at = self._latest
            if now < self._due_at and fields.get("status") == self._status_sent:
                return
            self._latest, self._status_sent = None, fields.get("status")
            self._due_at = now + self._interval
            self._core.add(fields, now, sent_at)

    def _read_now(self, now: float) -> None:
        assert self._read is not None
        try:
            self.beat(**self._read())
        except Exception:  # a sensor that fails must not silence the robot for good; this round it is not heard
            log.exception("reading the robot's state failed")
            self._due_at = now + self._interval

    def _act(self) -> None:
        action = self._core.next(time.monotonic())
        match action:
            case Open(connection):
                self._open(connection)
            case Send(connection, frames):
                self._send(connection, frames)
            case Drop():
                self._close_socket()
            case Post(_, path, body, _, patience):
                answer = self._requests.post(path, body, patience)
                self._core.posted(action, answer, time.monotonic())
            case Wait(until):
                self._tell()
                self._wait(until)
        self._tell()

    def _open(self, connection: int) -> None:
        try:
            opened = open_socket(self._address, self._token)
        except (OSError, ProtocolError) as error:
            log.debug("no socket: %s", error)
            self._core.not_opened(connection, None, time.monotonic())
            return
        if isinstance(opened, Socket):
            self._socket = (connection, opened)
            self._core.opened(connection, time.monotonic())
        else:
            self._core.not_opened(connection, opened, time.monotonic())

    def _send(self, connection: int, frames: tuple[bytes, ...]) -> None:
        if self._socket is None or self._socket[0] != connection:
            self._core.closed(connection, time.monotonic())
            return
        try:
            self._socket[1].send(frames)
        except OSError:
            self._close_socket()
            self._core.closed(connection, time.monotonic())

    def _hear(self) -> None:
        if self._socket is None:
            return
        connection, opened = self._socket
        try:
            messages = opened.receive()
        except (OSError, ProtocolError) as error:
            log.debug("socket lost: %s", error)
            messages = None
        for message in messages or ():
            self._core.heard(connection, message, time.monotonic())
        if messages is None or opened.closed_with is not None:
            self._close_socket()
            self._core.closed(connection, time.monotonic(), opened.closed_with)

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket[1].close()
            self._socket = None

    def _wait(self, until: float | None) -> None:
        """Until `until`, the next heartbeat is due, a frame arrives, or somebody nudges."""
        if self._latest is not None or self._read is not None:
            until = self._due_at if until is None else min(until, self._due_at)
        watched: list[Socket | socket.socket] = [self._ear]
        if self._socket is not None:
            watched.append(self._socket[1])
        wait_readable(watched, None if until is None else until - time.monotonic())
        with contextlib.suppress(BlockingIOError):
            self._ear.recv(4096)

    def _nudge(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: it is awake anyway
            self._wake.send(b"!")

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()
        for event in self._core.take_events():
            match event:
                case Changed(sentence):
                    log.info("%s", sentence)
                case Refused(beat, errors):
                    log.warning("heartbeat %d is refused: %s", beat.sequence, errors)
                case Dropped(beat):
                    log.warning("the buffer is full: heartbeat %d is lost", beat.sequence)
                case Command() as command:
                    self._take(command)

    # --- commands ---

    def _take(self, command: Command) -> None:
        if self._on_command is None:
            self._core.commands.done(command.id, False, "this robot takes no commands")
            return
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            self._core.commands.done(command.id, False, "too many commands are waiting")

    def _obey(self) -> None:
        assert self._on_command is not None
        while not self._stopping.is_set():
            try:
                command = self._commands.get(timeout=0.5)
            except queue.Empty:
                continue
            try:
                ok, detail = True, self._on_command(command.name, command.arguments)
                words.encode(detail)
            except Exception as error:  # whatever the robot's handler does, the operator is told
                log.exception("command %s failed", command.name)
                ok, detail = False, f"{type(error).__name__}: {error}"
            self._core.commands.done(command.id, ok, detail)
            self._nudge()
