"""Something between a caller and the door that passes calls on, until a test wants it to do something else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

from tests.migration.door import Door


@contextmanager
def relay(door: Door, *, most_calls: int | None = None, at_first: Callable[[], object] | None = None) -> Iterator[str]:
    """Pass calls on to the robots' door and yield the address of that.

    A connection is closed after `most_calls`. `at_first` is called once, before the first call is passed on.
    """
    address, lock, begun = ("127.0.0.1", door.ports["ROBOTS_DOOR_PORT"]), Lock(), []

    class PassOn(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        passed_on = 0

        def do_GET(self) -> None:
            with lock:
                if at_first and not begun:
                    begun.append(True)
                    at_first()
            if self.passed_on == most_calls:
                self.close_connection = True
                return
            self.passed_on += 1
            asked = HTTPConnection(*address, timeout=5)
            asked.request("GET", self.path, headers={"x-robot-id": self.headers["x-robot-id"]})
            body = asked.getresponse().read()
            asked.close()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), PassOn) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
