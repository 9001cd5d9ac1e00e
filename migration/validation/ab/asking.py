"""Asking one system over a connection that is kept, and timing it."""

import hashlib
import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from migration.validation.ab.calls import Call
from migration.validation.reading import Unreadable

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: body as JSON value, or the digest of what is none; milliseconds to its last byte."""

    status: int
    content_type: str
    body: Any
    milliseconds: float


class Asked:
    """A system under its base URL. It carries the mark of the robots' door, without which `new` takes no robot's call;
    that changes nothing for calls without effects, and the own door strips it."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        where = urlsplit(url)
        if where.scheme != "http" or where.hostname is None:
            raise Unreadable(f"{url} is no address of {name}: it begins with http:// and names a host")
        self._connection = http.client.HTTPConnection(where.hostname, where.port, timeout=TIMEOUT_SECONDS)

    def ask(self, call: Call) -> Answer:
        """Send a call. A kept connection that the system had closed is opened once more. Raises `Unreadable`."""
        try:
            try:
                return self._ask(call)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self._connection.close()
                if call.method != "GET":
                    raise
                return self._ask(call)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unreadable(f"{self.name} did not answer {call.method} {call.path}: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, call: Call) -> Answer:
        began = time.perf_counter()
        self._connection.request(call.method, call.path, call.body, {**call.headers, "x-side": "new"})
        response = self._connection.getresponse()
        content = response.read()
        milliseconds = 1000 * (time.perf_counter() - began)
        content_type = (response.getheader("content-type") or "").partition(";")[0]
        return Answer(response.status, content_type, _body(content_type, content), milliseconds)


def _body(content_type: str, content: bytes) -> Any:
    if content_type == "application/json":
        try:
            return json.loads(content)
        except ValueError:
            pass  # compared by its digest: the other system's will be another one
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
