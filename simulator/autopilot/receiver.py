"""What a site has beside the control plane: chat channels that take messages, and an external check that may veto."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

CHECK = "/check"


@dataclass(slots=True)
class Receiver:
    """Keeps every message by its channel's path, and answers the external check."""

    address: str
    #: channel's path → texts, as Slack's incoming webhooks take them
    texts: dict[str, list[str]] = field(default_factory=dict)
    #: what the external check was asked about
    asked: list[dict[str, Any]] = field(default_factory=list)
    #: why the external check says no to the next question; taken once
    objections: list[str] = field(default_factory=list)
    vetoes: int = 0

    @property
    def check_url(self) -> str:
        """Where the external check answers."""
        return f"{self.address}{CHECK}"

    def take(self, path: str, body: dict[str, Any]) -> dict[str, str]:
        """One request, and the answer to it."""
        if path != CHECK:
            self.texts.setdefault(path, []).append(str(body.get("text", "")))
            return {}
        self.asked.append(body)
        if not self.objections:
            return {"verdict": "pass", "reason": "nothing speaks against it"}
        self.vetoes += 1
        return {"verdict": "fail", "reason": self.objections.pop(0)}


@contextmanager
def receiving(at: str) -> Iterator[Receiver]:
    """Listen on the host and port of this address."""
    parts = urlsplit(at)
    receiver = Receiver(f"{parts.scheme}://{parts.netloc}")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = self.rfile.read(int(self.headers.get("content-length", 0)))
            answer = json.dumps(receiver.take(self.path, json.loads(said))).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *words: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer((parts.hostname or "", parts.port or 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), name="receiver", daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
