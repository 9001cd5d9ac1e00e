"""A server of the page inside the test's process: pages and sockets on one port, as the own door shows them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from config.live import application as the_live_process
from dashboard.live.protocol import BrowserSocket


@contextmanager
def served(application: Any = the_live_process) -> Iterator[str]:
    """Serve on a free port, with the sockets of the live process; yields its URL."""
    config = uvicorn.Config(
        application,
        host="127.0.0.1",
        port=0,
        ws=BrowserSocket,
        ws_per_message_deflate=False,
        log_level="warning",
        lifespan="off",
    )
    server = uvicorn.Server(config)
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
