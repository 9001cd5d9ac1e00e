"""A server of the page inside the test's process: pages and sockets on one port, as the own door shows them."""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from config.live import application as the_live_process
from dashboard.live.database import DatabaseThread
from dashboard.live.protocol import BrowserSocket

PATIENCE_SECONDS = 20


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
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise RuntimeError("the page's server did not start")
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)
        _end_looks()


def _end_looks() -> None:
    """Wait for looks that nobody waits for any more: one of them would open a phase in a database that was emptied."""
    for thread in [thing for thing in gc.get_objects() if type(thing) is DatabaseThread]:
        thread.rest().result(PATIENCE_SECONDS)
