"""What the legacy contract reads and writes in PostgreSQL."""

import json
import tempfile
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg

from heartbeat.ingest.database import Database
from heartbeat.rules.identity import key_of, row_key_of
from heartbeat.rules.json_text import json_text
from heartbeat.rules.rows import legacy_row, naive_local
from heartbeat.rules.updates import Wish, latest, rollback_target, rolled_back

# A v2 heartbeat moves the robot alone: its row is the robot's state while that is newer than the row's own.
ROWS = """
FROM heartbeat_legacyrow w
LEFT JOIN heartbeat_robot r ON r.robot_id = w.robot_id AND r.last_v2_at = r.last_status_at
    AND r.last_v2_at >= coalesce(w.status_at, '-infinity')"""
ROW = f"""
SELECT w.key, w.robot_id, w.check_at, w.current_version, w."group", w.exact_check, r.key IS NOT NULL AS by_v2,
    CASE WHEN r.key IS NULL THEN w.status_at ELSE r.last_v2_at END AS status_at,
    CASE WHEN r.key IS NULL THEN w.deployment_id ELSE r.deployment_id END AS deployment_id,
    CASE WHEN r.key IS NULL THEN w.version ELSE r.version END AS version,
    CASE WHEN r.key IS NULL THEN w.status ELSE r.status END AS status,
    CASE WHEN r.key IS NULL THEN w.message ELSE r.message END AS message,
    CASE WHEN r.key IS NULL THEN w.health ELSE r.health END AS health,
    CASE WHEN r.key IS NULL THEN w.exact_status END AS exact_status, r.sent_at{ROWS}"""
_DOCUMENTS = "SELECT document FROM heartbeat_deployment ORDER BY position"
# Refused by the unique id if another rollback took the same id; the newest is read before, as in legacy.
_INSERT = """
INSERT INTO heartbeat_deployment (
    id, version, branch, commit, author, message, target_group, auto_rollback, status, timestamp, checksum,
    package_path, package_size, is_rollback, rollback_from, document, package_sha256
)
SELECT $1, version, branch, commit, author, $2, target_group, auto_rollback, status, $3, checksum,
       package_path, package_size, true, $4, $5::json, package_sha256
FROM heartbeat_deployment WHERE id = $6
"""
_PACKAGE = """
SELECT d.id, p.sha256, p.content FROM heartbeat_deployment d
LEFT JOIN heartbeat_package p ON p.sha256 = d.package_sha256 WHERE d.id = $1
"""
_SPEAKING_FROM = """
SELECT health, CASE WHEN last_v2_at = last_status_at THEN payload END AS payload
FROM heartbeat_robot WHERE address = $1 ORDER BY last_seen_at DESC LIMIT 2
"""


class Store:
    """The reads and the one write (rollback) of legacy's API; `packages` is where files are put to be sent."""

    def __init__(self, database: Database, packages: Path) -> None:
        self._database = database
        self._packages = packages

    async def rows(self) -> list[str]:
        """All rows as JSON texts, in the order in which their ids were first heard."""
        return [_row_text(row) for row in await self._database.fetch(f"{ROW} ORDER BY w.first_at, w.id")]

    async def row(self, robot_id: str) -> str | None:
        """The row of this very spelling, as JSON text."""
        found = await self._database.fetch(
            f"{ROW} AND r.key = $2 WHERE w.key = $1", row_key_of(robot_id), key_of(robot_id)
        )
        return _row_text(found[0]) if found else None

    async def counts(self) -> tuple[int, int]:
        """How many deployments and rows there are."""
        (row,) = await self._database.fetch(
            "SELECT (SELECT count(*) FROM heartbeat_deployment), (SELECT count(*) FROM heartbeat_legacyrow)"
        )
        return row[0], row[1]

    async def documents(self) -> list[dict[str, Any]]:
        """All deployments in the order in which they were learned of."""
        return [json.loads(row["document"]) for row in await self._database.fetch(_DOCUMENTS)]

    async def roll_back(self, wish: Wish, now: datetime) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Make the deployment that goes back to what `wish` names: (the target, the new one), or None."""
        documents = await self.documents()
        target = rollback_target(documents, wish, now)
        newest = latest(documents)
        if target is None or newest is None:
            return None
        made = rolled_back(target, newest, f"dep_{uuid.uuid4().hex[:12]}", now)
        document = json_text(made)[0]
        await self._database.fetch(
            _INSERT, made["id"], made["message"], made["timestamp"], newest["id"], document, target["id"]
        )
        return dict(target), made

    async def package(self, deployment_id: str) -> Path | None:
        """A file with the package's bytes, or None when there are none. Raises LookupError for an unknown id."""
        found = await self._database.fetch(_PACKAGE, deployment_id.replace("\x00", ""))
        if not found:
            raise LookupError(deployment_id)
        if found[0]["content"] is None:
            return None
        return self._as_file(found[0]["sha256"], found[0]["content"])

    async def speaking_from(self, address: str) -> list[asyncpg.Record]:
        """The robots whose latest call came from `address`: none, one, or the first two of several."""
        return await self._database.fetch(_SPEAKING_FROM, address)

    def _as_file(self, sha256: str, content: bytes) -> Path:
        """Content by its name, so it is written once: a file can be sent in ranges, and without its bytes in memory."""
        path = self._packages / f"{sha256}.tar.gz"
        if not path.exists() or path.stat().st_size != len(content):
            self._packages.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._packages, delete=False) as file:
                file.write(content)
            Path(file.name).replace(path)
        return path


def _row_text(record: asyncpg.Record) -> str:
    """A row as JSON text. `health` goes in as it is stored: a body nested to the limit costs nobody their answer."""
    exact: dict[str, Any] = {}
    for column in ("exact_check", "exact_status"):
        exact |= json.loads(record[column]) if record[column] else {}
    texts = {name: json.dumps(value) for name, value in legacy_row(record, None, exact).items()}
    if "health" in texts and record["health"] is not None:
        texts["health"] = _timed(record) if record["by_v2"] else record["health"]
    return "{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}"


def _timed(record: asyncpg.Record) -> str:
    """The health of a v2 heartbeat, with the time by the robot's clock that legacy's robots put into it."""
    sent_at = record["sent_at"]
    stamp = "null" if sent_at is None else json.dumps(naive_local(sent_at))
    return f'{record["health"].removesuffix("}")},"timestamp":{stamp}}}'
