"""Asking legacy: only what it answers without doing anything, straight to its own address."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

#: a part of an answer; the whole may take longer
ANSWER_SECONDS = 1.5
MOST_BYTES = 64 * 2**20
#: weight of the latest answer in what is said of legacy's speed
_WEIGHT = 0.3
_rows = msgspec.json.Decoder(list[msgspec.Raw])

CURRENT, OLDER = "current", "older"
SILENT = (httpx.HTTPError, msgspec.MsgspecError, OSError)


class NotLegacy(ValueError):
    """What answers there speaks neither of legacy's contracts."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Every row of legacy's at one moment: texts by digest, in legacy's order. Equal rows have equal digests."""

    began_at: datetime
    seconds: float
    contract: str
    rows: dict[bytes, msgspec.Raw] = field(default_factory=dict)

    def parsed(self, digest: bytes) -> Any:
        """One row as Python has it."""
        return msgspec.json.decode(self.rows[digest])


class LegacySource:
    """One connection to legacy. `calls` counts what it was asked, `answer_seconds` is its usual time of late."""

    def __init__(self, url: str, alive: Callable[[], None] = lambda: None) -> None:
        self.url = url
        self.calls = 0
        self.answer_seconds: float | None = None
        self._alive = alive
        self._client = httpx.Client(base_url=url, timeout=ANSWER_SECONDS)
        self._contract = CURRENT

    @property
    def is_current(self) -> bool:
        """Whether it speaks the newer of its contracts, as far as is known."""
        return self._contract == CURRENT

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def rows(self) -> Reading:
        """Read all rows. Raises one of SILENT, or `NotLegacy`."""
        began_at, began = datetime.now(UTC), time.monotonic()
        body = self._read("/api/robots" if self._contract == CURRENT else "/robots")
        if body is None:
            self._contract = OLDER if self._contract == CURRENT else CURRENT
            body = self._read("/api/robots" if self._contract == CURRENT else "/robots")
        if body is None:
            raise NotLegacy(f"{self.url} has neither /api/robots nor /robots")
        seconds = time.monotonic() - began  # legacy's time, not what is done with it here
        found = {blake2b(memoryview(row), digest_size=16).digest(): row for row in _rows.decode(body)}
        return Reading(began_at, seconds, self._contract, found)

    def fleet(self) -> list[Any] | None:
        """The list by address; None where this legacy has none."""
        body = self._read("/api/fleet")
        found = None if body is None else msgspec.json.decode(body)
        robots = found.get("robots") if isinstance(found, dict) else None
        return robots if isinstance(robots, list) else None

    def deployments(self) -> bytes | None:
        """The text of the list of deployments, or, from the older contract, of who got which; None without either."""
        most = "/api/deployments?limit=10000"
        return self._read(most if self._contract == CURRENT else "/deployments")

    def package(self, deployment_id: str) -> bytes | None:
        """A package's bytes, None where legacy has lost them."""
        return self._read(f"/api/download/{deployment_id}")

    def last_seen(self, robot_id: str) -> Any:
        """When legacy last heard one robot, in its own words; None when it does not know it."""
        body = self._read(f"/api/robots/{quote(robot_id, safe='')}")
        return None if body is None else msgspec.json.decode(body).get("last_seen")

    def roll_back(self, deployment_id: str) -> dict[str, Any]:
        """Ask legacy to offer a deployment again. Raises `httpx.HTTPStatusError` when it refuses."""
        self.calls += 1
        answer = self._client.post("/api/rollback", json={"deployment_id": deployment_id})
        answer.raise_for_status()
        return dict(answer.json())

    def check_update(self, robot_id: str, current_version: str, group: str) -> None:
        """Tell legacy of a robot's update check, in the words the robot used."""
        self.calls += 1
        query = {"robot_id": robot_id, "current_version": current_version, "group": group}
        self._client.get("/api/check-update", params=query).raise_for_status()

    def _read(self, path: str) -> bytes | None:
        """The body; None for 404. Says between its parts that somebody is at work."""
        self.calls += 1
        began = time.monotonic()
        body = bytearray()
        with self._client.stream("GET", path) as answer:
            if answer.status_code == httpx.codes.NOT_FOUND:
                return None
            answer.raise_for_status()
            first = time.monotonic() - began
            for part in answer.iter_bytes():
                body += part
                self._alive()
                if len(body) > MOST_BYTES:
                    raise NotLegacy(f"{path} is longer than {MOST_BYTES:,} bytes")
        usual = self.answer_seconds
        self.answer_seconds = first if usual is None else usual + _WEIGHT * (first - usual)
        return bytes(body)
