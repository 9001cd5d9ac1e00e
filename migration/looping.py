"""Running a loop of a supervised process: once a beat until it is told to stop, through errors that pass."""

import signal
import threading
import time
from collections.abc import Callable

import structlog
from django.db import Error as DatabaseError
from django.db import connections

log = structlog.get_logger(__name__)


def run(
    name: str, tick: Callable[[], object], *, seconds: float, passing: tuple[type[Exception], ...] = (DatabaseError,)
) -> None:
    """Call `tick` every `seconds` until SIGTERM or SIGINT. Errors in `passing` are logged and the loop goes on.

    Anything else ends the process, and its supervisor starts it again. Connections of a broken database are dropped, so
    that the next beat opens a new one.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log.info("loop.started", loop=name, seconds=seconds)
    due = time.monotonic()
    while not stop.is_set():
        try:
            tick()
        except passing as error:
            log.warning("loop.beat_failed", loop=name, error=str(error))
            connections.close_all()
        due = max(due + seconds, time.monotonic())
        stop.wait(due - time.monotonic())
    log.info("loop.stopped", loop=name)
