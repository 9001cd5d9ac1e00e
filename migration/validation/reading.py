"""Reading rows and deployments from one system, by the calls of the legacy contract that change nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
from django.conf import settings

from migration.rules.comparing import Reading, Row
from migration.rules.pairing import by_id

TIMEOUT_SECONDS = 10.0
#: legacy lists the newest 100 unless it is asked for more; more than anybody keeps
MOST_DEPLOYMENTS = 10_000


class Unreadable(Exception):
    """A system could not be read; the sentence says which, and why."""


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of both systems by their ids, read one after the other."""

    legacy: dict[str, Row]
    new: dict[str, Row]


class BothSystems:
    """Legacy and `new`, asked over connections that are kept."""

    def __init__(self, legacy_url: str | None = None, new_url: str | None = None) -> None:
        self._legacy = ("legacy", legacy_url or settings.LEGACY_URL)
        self._new = ("new", new_url or f"http://127.0.0.1:{settings.OWN_DOOR_PORT}")
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> "BothSystems":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def rows(self) -> Rows:
        """Every row of both. Raises `Unreadable`."""
        legacy, new = (self._list(system, "/api/robots") for system in (self._legacy, self._new))
        return Rows(*by_id(legacy, new))

    def row(self, robot_id: str) -> Reading:
        """One row of both; None where there is none. Raises `Unreadable`."""
        path = f"/api/robots/{quote(robot_id, safe='', errors='surrogatepass')}"
        legacy, new = (self._get(system, path, missing_ok=True) for system in (self._legacy, self._new))
        return legacy, new

    def deployments(self) -> Rows:
        """Every deployment of both. Raises `Unreadable`."""
        path = f"/api/deployments?limit={MOST_DEPLOYMENTS}"
        legacy, new = (self._list(system, path) for system in (self._legacy, self._new))
        return Rows({str(row.get("id")): row for row in legacy}, {str(row.get("id")): row for row in new})

    def _list(self, system: tuple[str, str], path: str) -> list[Row]:
        found = self._get(system, path)
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise Unreadable(f"{system[0]} answered {path} with something else than a list of rows")
        return found

    def _get(self, system: tuple[str, str], path: str, *, missing_ok: bool = False) -> Any:
        name, url = system
        try:
            answer = self._client.get(f"{url}{path}")
            if missing_ok and answer.status_code == httpx.codes.NOT_FOUND:
                return None
            if answer.status_code != httpx.codes.OK:
                raise Unreadable(f"{name} answered {answer.status_code} to GET {path}")
            return _parsed(answer)
        except (httpx.HTTPError, ValueError) as error:
            raise Unreadable(f"{name} could not be read: {error or type(error).__name__}") from error


def _parsed(answer: httpx.Response) -> Any:
    """The body, read in C; what JSON does not have and Python's parser takes (NaN), by Python."""
    try:
        return msgspec.json.decode(answer.content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return answer.json()


#: how far a check is: (what it does, done, of how many)
Progress = Callable[[str, int, int], None]
