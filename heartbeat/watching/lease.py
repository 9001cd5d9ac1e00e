"""One at a time: a lease in the database, by the database's clock, with a term that fences an old holder off."""

import json
import os
import socket
import uuid
from typing import Any, LiteralString

import psycopg

#: a standby takes over when the holder was not heard of for this long, looked for every `STANDBY_SECONDS`
TTL_SECONDS = 1.5
RENEW_SECONDS = 0.4
STANDBY_SECONDS = 0.2

_TAKE = """
INSERT INTO heartbeat_lease AS l (name, holder, term, until, renewed_at, detail)
VALUES (%(name)s, %(holder)s, 1, clock_timestamp() + %(ttl)s * interval '1 second', clock_timestamp(), '{}')
ON CONFLICT (name) DO UPDATE SET
    holder = excluded.holder, term = l.term + 1, until = excluded.until, renewed_at = excluded.renewed_at
WHERE l.until < clock_timestamp()
RETURNING term
"""
_RENEW = """
UPDATE heartbeat_lease SET until = clock_timestamp() + %(ttl)s * interval '1 second', renewed_at = clock_timestamp(),
    detail = %(detail)s::jsonb
WHERE name = %(name)s AND holder = %(holder)s AND term = %(term)s AND until > clock_timestamp()
"""
_HOLD = """
UPDATE heartbeat_lease SET until = clock_timestamp() + %(ttl)s * interval '1 second'
WHERE name = %(name)s AND holder = %(holder)s AND term = %(term)s AND until > clock_timestamp()
"""
_RELEASE = """
UPDATE heartbeat_lease SET until = clock_timestamp()
WHERE name = %(name)s AND holder = %(holder)s AND term = %(term)s AND until > clock_timestamp()
"""


class LeaseLost(Exception):
    """Somebody else holds the lease, or it ran out."""


class Lease:
    """The lease `name` on one connection; `term` is 0 while it is not held."""

    def __init__(self, connection: psycopg.Connection[Any], name: str, ttl_seconds: float = TTL_SECONDS) -> None:
        self._connection = connection
        self._given: dict[str, Any] = {"name": name, "ttl": ttl_seconds}
        self._given["holder"] = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.term = 0

    def take(self) -> bool:
        """Take the lease if it is free; a term always begins anew, also after one of this holder's own ran out."""
        row = self._connection.execute(_TAKE, self._given).fetchone()
        self.term = row[0] if row else 0
        return bool(row)

    def renew(self, detail: dict[str, Any]) -> None:
        """Hold it for another while and say what was done. Raises LeaseLost."""
        if self._run(_RENEW, detail=json.dumps(detail)) != 1:
            raise LeaseLost(f"term {self.term} is over")

    def release(self) -> None:
        """Let somebody else take it at once."""
        self._run(_RELEASE)
        self.term = 0

    def fence(self) -> None:
        """In a transaction: go on only as the holder, and let nobody take over before it ends. Raises LeaseLost.

        The row stays locked until then, which the server bounds to a second of idleness.
        """
        if self._run(_HOLD) != 1:
            raise LeaseLost(f"term {self.term} is over")

    def _run(self, statement: LiteralString, **more: Any) -> int:
        return self._connection.execute(statement, {**self._given, "term": self.term, **more}).rowcount
