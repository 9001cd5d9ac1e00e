"""A system with a real Prometheus and a real Alertmanager, and what one has to ask them."""

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from embedded.monitoring import COMPOSE, program
from embedded.stack import Stack

#: what a second webhook of the same receiver is sent, word for word
_RECORDER = "      - url: {url}\n        send_resolved: true\n"


@dataclass(slots=True)
class Recorder:
    """Every message that Alertmanager and the system sent, with the moment (`time.monotonic`)."""

    url: str
    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    #: what the system tells people in their alerts channel
    told: list[tuple[float, str]] = field(default_factory=list)

    @property
    def chat(self) -> str:
        """Where it takes those, as a chat does."""
        return f"{self.url}chat"

    def told_people(self, words: str, since: float) -> float | None:
        """When people were first told something with these words."""
        return next((at for at, text in list(self.told) if at >= since and words in text), None)

    def first(self, name: str, status: str, since: float) -> tuple[float, dict[str, Any]] | None:
        """The first message since a moment that says this of an alert of this name."""
        for at, message in list(self.messages):
            if at >= since and message["commonLabels"].get("alertname") == name and message["status"] == status:
                return at, message
        return None

    def moments(self, name: str, since: float = 0.0) -> list[float]:
        """When messages of an alert came."""
        return [at for at, said in list(self.messages) if at >= since and said["commonLabels"].get("alertname") == name]


@contextmanager
def recording() -> Iterator[Recorder]:
    """A receiver that keeps what it gets."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            if self.path == "/chat":
                recorder.told.append((time.monotonic(), json.dumps(json.loads(body), ensure_ascii=False)))
            else:
                recorder.messages.append((time.monotonic(), json.loads(body)))
            self.send_response_only(200)
            self.send_header("content-length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recorder = Recorder(f"http://127.0.0.1:{server.server_port}/")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True, slots=True)
class World:
    """The running system, and the recorder that hears what the system hears."""

    stack: Stack
    recorder: Recorder

    def record_too(self) -> None:
        """Let Alertmanager's receiver tell the recorder as well."""
        path = self.stack.state / "alertmanager" / "alertmanager.yml"
        path.write_text(path.read_text() + _RECORDER.format(url=self.recorder.url))
        post(f"{self.stack.url('ALERTMANAGER_PORT')}/-/reload")

    @contextmanager
    def wrong_secret(self) -> Iterator[None]:
        """Let Alertmanager show another secret than the site knows."""
        path = self.stack.state / "alertmanager" / "token"
        right = path.read_text()
        path.write_text("guessed")
        try:
            yield
        finally:
            path.write_text(right)

    def refused(self) -> int:
        """How many of Alertmanager's messages were not taken."""
        told = get_text(f"{self.stack.url('ALERTMANAGER_PORT')}/metrics").splitlines()
        name = 'alertmanager_notifications_failed_total{integration="webhook"}'
        return sum(int(float(line.rpartition(" ")[2])) for line in told if line.startswith(name))

    def is_firing(self, name: str) -> bool:
        """Whether Prometheus has an alert of this name fire."""
        found = json.loads(get_text(f"{self.stack.url('PROMETHEUS_PORT')}/api/v1/alerts"))["data"]["alerts"]
        return any(one["labels"]["alertname"] == name and one["state"] == "firing" for one in found)


def wait_for(what: str, found: Callable[[], Any], seconds: float) -> Any:
    """What `found` returns once that is something. Raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while not (told := found()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)
    return told


def get_text(url: str) -> str:
    """What is answered there."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())


def post(url: str) -> None:
    """An empty POST."""
    urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=5).close()


def check_files() -> list[tuple[str, str]]:
    """What promtool and amtool say of the shipped files: (command, "holds" or their last words)."""
    prometheus, alertmanager = COMPOSE / "prometheus", COMPOSE / "alertmanager"
    commands: list[tuple[list[str], Path]] = [
        ([program("promtool"), "check", "config"], prometheus / "prometheus.yml"),
        ([program("promtool"), "check", "rules"], prometheus / "rules.yml"),
        ([program("promtool"), "test", "rules"], prometheus / "rules_test.yml"),
        ([program("amtool"), "check-config"], alertmanager / "alertmanager.yml"),
    ]
    found = []
    for command, path in commands:
        done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
        last = (done.stdout + done.stderr).strip().splitlines()[-1:] or ["no reason given"]
        name = " ".join([Path(command[0]).name, *command[1:], path.name])
        found.append((name, "holds" if done.returncode == 0 else f"FAILS: {last[0]}"))
    return found
