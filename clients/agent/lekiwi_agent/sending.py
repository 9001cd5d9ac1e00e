"""Send signals between heartbeats: `POST /api/v2/teleop/signals`, one connection, a thread of its own."""

import logging
import threading
import time
from typing import Any

from lekiwi_heartbeat import words
from lekiwi_heartbeat.transport import Address, Requests

from lekiwi_agent.outbox import Answered, Outbox

log = logging.getLogger("lekiwi_agent")

PATH = "/api/v2/teleop/signals"
PATIENCE_SECONDS = 2.0


class Sender:
    """`send` is cheap and never waits for the network."""

    def __init__(self, url: str, robot_id: str, token: str | None, boot_id: str) -> None:
        """Raises ValueError for an address that is none."""
        self._requests = Requests(Address(url), token)
        self._about = {"robot_id": robot_id, "boot_id": boot_id}
        self._outbox = Outbox()
        self._changed = threading.Condition()
        self._stopping = False
        self._complaint: str | None = None
        self._thread = threading.Thread(target=self._run, name="lekiwi-signals", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def send(self, signal: dict[str, Any]) -> None:
        """Send it as soon as may be."""
        with self._changed:
            self._outbox.add(signal)
            self._changed.notify()

    def stop(self) -> None:
        """End; what still waits is lost, and so is said."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(2 * PATIENCE_SECONDS + 1.0)
        if waiting := len(self._outbox):
            log.warning("%d signals were not sent", waiting)

    @property
    def counts(self) -> dict[str, int]:
        """How many signals were made, sent, dropped, refused, and still wait."""
        with self._changed:
            return {**self._outbox.counts, "waiting": len(self._outbox)}

    def _run(self) -> None:
        try:
            while (signals := self._next()) is not None:
                body = words.encode({**self._about, "signals": signals})
                answer = self._requests.post(PATH, body, PATIENCE_SECONDS)
                said = Answered(answer.status, answer.retry_after_seconds) if answer else Answered(None)
                with self._changed:
                    self._tell(self._outbox.answered(said, time.monotonic()))
        finally:
            self._requests.close()

    def _next(self) -> list[dict[str, Any]] | None:
        """Wait until something is to be sent; None when it is over."""
        with self._changed:
            while True:
                due = self._outbox.due_at()
                left = None if due is None else due - time.monotonic()
                if left is not None and left <= 0:
                    return self._outbox.take()
                if self._stopping:
                    return None
                self._changed.wait(left)

    def _tell(self, complaint: str | None) -> None:
        """Once, not with every try."""
        if complaint and complaint != self._complaint:
            log.warning("%s", complaint)
        elif self._complaint and not complaint:
            log.info("signals are taken again")
        self._complaint = complaint
