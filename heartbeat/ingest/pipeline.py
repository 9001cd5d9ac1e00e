"""Transactions that are sent without waiting for the ones before.

With one at a time PostgreSQL had nothing to do from the end of a commit until ingest had noticed it and sent the next
one, a tenth of the time. asyncpg has one at a time. libpq's pipeline mode has as many as one likes, in their order.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import psycopg
from psycopg import pq

Row = tuple[bytes | None, ...]
Statement = tuple[str, Sequence[bytes]]


class StatementFailed(Exception):
    """PostgreSQL refused a transaction, for the reason with this SQLSTATE; those sent after it are not affected."""

    def __init__(self, sqlstate: str, reason: str) -> None:
        super().__init__(reason)
        self.sqlstate = sqlstate


class Pipeline:
    """A connection of its own, for prepared statements with one row of result and parameters as text."""

    def __init__(self, connection: psycopg.AsyncConnection, lost: Callable[[], None]) -> None:
        self._connection = connection  # it owns what libpq holds
        self._pgconn = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._socket = self._pgconn.socket
        self._names: dict[str, bytes] = {}
        #: of each transaction under way whom to tell, the first one's rows so far, and why it failed
        self._sent: deque[asyncio.Future[list[Row]]] = deque()
        self._rows: list[Row] = []
        self._failed: StatementFailed | None = None
        self._is_writing = False
        self.is_closed = False
        self._pgconn.nonblocking = 1
        self._pgconn.enter_pipeline_mode()
        self._loop.add_reader(self._socket, self._read)

    @classmethod
    async def connect(
        cls, dsn: str, settings: Mapping[str, str], *, seconds: float, lost: Callable[[], None]
    ) -> "Pipeline":
        """Connect within `seconds`; `lost` is called once when the connection ends. Raises OSError or TimeoutError."""
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        try:
            async with asyncio.timeout(seconds):
                return cls(await psycopg.AsyncConnection.connect(dsn, autocommit=True, options=options), lost)
        except psycopg.Error as error:
            raise ConnectionError(str(error)) from error

    async def prepare(self, *statements: str) -> None:
        """Prepare what is to be sent. Raises StatementFailed, or ConnectionError."""
        for sql in statements:
            self._names[sql] = b"statement_%d" % len(self._names)
            self._pgconn.send_prepare(self._names[sql], sql.encode())
        await self._end()

    def send(self, *statements: Statement) -> "asyncio.Future[list[Row]]":
        """Send prepared statements as one transaction; the row of each comes when it is committed.

        The future raises StatementFailed, or ConnectionError.
        """
        try:
            for sql, parameters in statements:
                self._pgconn.send_query_prepared(self._names[sql], parameters)
        except psycopg.Error as error:
            self._close(str(error))
        return self._end()

    def close(self) -> None:
        """End it; whoever waits is told."""
        self._close("the connection was closed")

    def _end(self) -> "asyncio.Future[list[Row]]":
        """End a transaction, and send it."""
        future: asyncio.Future[list[Row]] = self._loop.create_future()
        self._sent.append(future)
        try:
            self._pgconn.pipeline_sync()
            self._flush()
        except psycopg.Error as error:
            self._close(str(error))
        return future

    def _flush(self) -> None:
        """Send what the socket takes now, the rest when it takes more."""
        is_writing = bool(self._pgconn.flush())
        if is_writing and not self._is_writing:
            self._loop.add_writer(self._socket, self._write)
        elif self._is_writing and not is_writing:
            self._loop.remove_writer(self._socket)
        self._is_writing = is_writing

    def _write(self) -> None:
        try:
            self._flush()
        except psycopg.Error as error:
            self._close(str(error))

    def _read(self) -> None:
        try:
            self._pgconn.consume_input()
            while self._sent and not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if result is not None:
                    self._take(result)
        except psycopg.Error as error:
            self._close(str(error))

    def _take(self, result: pq.abc.PGresult) -> None:
        if result.status == pq.ExecStatus.TUPLES_OK:
            self._rows.append(tuple([result.get_value(0, column) for column in range(result.nfields)]))
        elif result.status == pq.ExecStatus.FATAL_ERROR:
            sqlstate = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
            self._failed = StatementFailed(sqlstate.decode(), result.get_error_message().strip())
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            future, rows, failed = self._sent.popleft(), self._rows, self._failed
            self._rows, self._failed = [], None
            if future.done():  # whoever waited has gone
                return
            if failed is not None:
                future.set_exception(failed)
            else:
                future.set_result(rows)

    def _close(self, reason: str) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._loop.remove_reader(self._socket)
            if self._is_writing:
                self._loop.remove_writer(self._socket)
            self._pgconn.finish()
            self._lost()
        while self._sent:
            future = self._sent.popleft()
            if not future.done():
                future.set_exception(ConnectionResetError(reason))
