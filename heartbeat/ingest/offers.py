"""The deployments in memory, as one revision of them."""

import asyncio
import json
import uuid
from typing import Any

from heartbeat.ingest.database import Database
from heartbeat.rules.updates import update_answer

# One statement is one snapshot: the documents belong to the revision that comes with them.
_READ = """
SELECT (SELECT revision FROM heartbeat_deploymentsrevision) AS revision,
       (SELECT array_agg(document ORDER BY position) FROM heartbeat_deployment) AS documents
"""
_NOTHING_READ = object()


class Offers:
    """Answers update checks for the revision that the check's own commit saw."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._revision: object = _NOTHING_READ
        self._documents: list[dict[str, Any]] = []
        self._reading = asyncio.Lock()

    async def answer(self, group: str, current_version: str, revision: uuid.UUID | None) -> dict[str, Any]:
        """What an update check is told that saw `revision` (None: nothing was ever deployed)."""
        if self._revision != revision:
            await self._read(revision)
        return update_answer(self._documents, group, current_version)

    async def _read(self, wanted: uuid.UUID | None) -> None:
        async with self._reading:
            if self._revision == wanted:
                return
            (row,) = await self._database.fetch(_READ)
            self._documents = [json.loads(document) for document in row["documents"] or []]
            self._revision = row["revision"]
