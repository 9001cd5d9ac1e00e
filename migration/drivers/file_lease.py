"""One at a time, on one disk and without a database: a lease that its holder must renew. Standard library only.

A lock of the kernel would stay with a process that was stopped, and the database's lease (`heartbeat.watching.lease`)
is gone with the database. This one is judged by the machine's own clock since its start, which nobody can set.
"""

import json
import os
import socket
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from migration.drivers import atomic_file

#: a standby takes over when the holder was not heard of for this long
TTL_SECONDS = 2.5
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds it since when, and who stands by. Times are seconds since the machine was started."""

    holder: str
    term: int
    renewed: float
    boot: str
    standby: str = ""
    standby_at: float = 0.0


class FileLease:
    """The lease in the file at `path`. `hold()` is asked before every piece of work."""

    def __init__(self, path: Path, ttl_seconds: float = TTL_SECONDS) -> None:
        self.path = path
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._ttl_seconds = ttl_seconds

    def hold(self) -> bool:
        """Take, keep or renew it; False while somebody else holds it. Raises `CannotWriteRoutes`."""
        atomic_file.make_directories(self.path.parent)
        with atomic_file.locked(self.path.with_suffix(".lock")):
            found, now = self.read(), _now()
            if found and found.holder != self.holder and self._lives(found, now):
                self._put(Held(found.holder, found.term, found.renewed, found.boot, self.holder, now))
                return False
            is_mine = found is not None and found.holder == self.holder
            term = (found.term if found else 0) + (0 if is_mine else 1)
            standby = (found.standby, found.standby_at) if found and found.standby != self.holder else ("", 0.0)
            self._put(Held(self.holder, term, now, _boot(), *standby))
            return True

    def release(self) -> None:
        """Let somebody else take it at once."""
        with atomic_file.locked(self.path.with_suffix(".lock")):
            found = self.read()
            if found and found.holder == self.holder:
                self.path.unlink(missing_ok=True)

    def read(self) -> Held | None:
        """Who holds it as the file says, or None."""
        try:
            return Held(**json.loads(self.path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def standby_age_seconds(self) -> float | None:
        """How long ago a standby said that it is ready; None if none ever did."""
        found = self.read()
        return _now() - found.standby_at if found and found.standby and found.boot == _boot() else None

    def _lives(self, held: Held, now: float) -> bool:
        return held.boot == _boot() and now - held.renewed <= self._ttl_seconds

    def _put(self, held: Held) -> None:
        scratch = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        scratch.write_text(json.dumps(asdict(held)))
        scratch.replace(self.path)


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
