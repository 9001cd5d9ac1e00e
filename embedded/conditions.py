"""When a process counts as ready. Each condition is a coroutine function that answers now, without waiting."""

import asyncio
import contextlib
import http
from collections.abc import Awaitable, Callable

from embedded.ports import LOOPBACK

Condition = Callable[[], Awaitable[bool]]


def port_open(port: int) -> Condition:
    """Something accepts connections on `port`."""

    async def check() -> bool:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                _, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.close()
            return True
        return False

    return check


def answers(port: int, path: str, statuses: tuple[int, ...] = (http.HTTPStatus.OK,)) -> Condition:
    """`GET path` on `port` is answered with one of `statuses`."""

    async def check() -> bool:
        with contextlib.suppress(OSError, TimeoutError, ValueError, IndexError):
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                try:
                    request = f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nConnection: close\r\n\r\n"
                    writer.write(request.encode())
                    await writer.drain()
                    return int((await reader.readline()).split()[1]) in statuses
                finally:
                    writer.close()
        return False

    return check


def holds(question: Callable[[], bool]) -> Condition:
    """A quick ordinary function says so."""

    async def check() -> bool:
        return question()

    return check
