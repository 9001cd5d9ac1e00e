"""A server of the page inside the test's process: pages and sockets on one port, as the own door shows them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from config.live import application


@contextmanager
def served() -> Iterator[str]:
    """Serve on a free port; yields its URL."""
    server = uvicorn.Server(uvicorn.Config(application, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, name="page under test", daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise RuntimeError("the page's server did not start")
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
