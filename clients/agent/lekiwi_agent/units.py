"""Ask systemd about the host's units, in a thread of its own: a bus that hangs must not stop the looks."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from lekiwi_agent import bounded
from lekiwi_agent.unit_text import read_service

log = logging.getLogger("lekiwi_agent")

EVERY_SECONDS = 5.0
SYSTEMCTL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Service:
    """active, inactive or unknown; if unknown, why."""

    word: str = "unknown"
    because: str = "systemd has not been asked yet"


class Units:
    """`service` is the latest that is known."""

    def __init__(self, units: Sequence[str], command: str = "systemctl", every: float = EVERY_SECONDS) -> None:
        self._units = tuple(units)
        self._command = command
        self._every = every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lekiwi-units", daemon=True)
        self.service = Service()

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2 * SYSTEMCTL_SECONDS + 1.0)

    def ask(self) -> Service:
        """Ask now."""
        if not self._units:
            return Service(because="the layout names no unit")
        wish = [self._command, "show", "--property=Id,LoadState,ActiveState", "--", *self._units]
        try:
            word = read_service(bounded.run(wish, SYSTEMCTL_SECONDS))
        except bounded.CommandFailed as error:
            return Service(because=str(error))
        if word is None:
            return Service(because=f"there is no unit {' or '.join(self._units)}")
        return Service(word, "the unit starts or stops" if word == "unknown" else "")

    def _run(self) -> None:
        while True:
            self.service = self.ask()
            if self._stopping.wait(self._every):
                return
