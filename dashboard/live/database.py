"""One thread with one database connection that it keeps, for what asks every second.

A connection per question is five round trips, each of which waits for the interpreter's lock behind the event loop:
while 10,000 browsers came back, connecting took longer than the 2 s that it may.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connections

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class DatabaseThread:
    """Runs functions that only read, one after the other."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def ask(
        self, function: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Call it in the thread. A connection that has died meanwhile is replaced once; raises what comes then."""

        def call() -> Result:
            try:
                return function(*arguments, **named)
            except (OperationalError, InterfaceError):
                connections.close_all()
            try:
                return function(*arguments, **named)
            except BaseException:
                connections.close_all()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def rest(self) -> Future[None]:
        """Give the connection back after what is being asked; the next question opens one."""
        return self._pool.submit(connections.close_all)
