"""A server of the test's own that answers paths as it is told."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answers = Mapping[str, tuple[int, Any]]


@contextmanager
def answering(told: Answers, headers: Mapping[str, str] = {}) -> Iterator[str]:
    """Answer GET by path without query: (status, body as JSON or bytes, or what makes it), else 404; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = told.get(self.path.partition("?")[0], (404, {"detail": "nothing here"}))
            body = body() if callable(body) else body
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response_only(status)
            given = {"date": self.date_time_string(), "content-type": "application/json", **headers}
            for name, value in {**given, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
