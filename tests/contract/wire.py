"""One request and its answer as they travel: no client library that would tidy them up."""

import http.client
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

DEADLINE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Request:
    """`path` and `body` go out byte for byte; a body of None sends none."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None

    @classmethod
    def recorded(cls, entry: dict[str, Any]) -> "Request":
        """From the recording, which says `json`, `text` or nothing for the body."""
        if "json" in entry:
            body = json.dumps(entry["json"], ensure_ascii=False).encode()
        else:
            body = entry["text"].encode() if "text" in entry else None
        return cls(entry["method"], entry["path"], entry.get("headers", {}), body)


@dataclass(frozen=True, slots=True)
class Answer:
    """Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def send(base_url: str, request: Request) -> Answer:
    """Send one request on a connection of its own; redirects are not followed.

    It carries the mark of the robots' door, without which `new` takes no robot's call; the door itself strips it.
    """
    where = urlsplit(base_url)
    assert where.hostname is not None
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=DEADLINE_SECONDS)
    try:
        connection.request(
            request.method, request.path, body=request.body, headers={**request.headers, "x-side": "new"}
        )
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())
    finally:
        connection.close()
