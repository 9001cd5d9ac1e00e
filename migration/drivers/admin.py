"""Reading Envoy's admin interface with the standard library. No answer costs its timeout and nothing more."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

#: a proxy on the same network answers in a millisecond; a stopped one never does
TIMEOUT_SECONDS = 0.3


class NoAnswer(Exception):
    """A proxy did not answer in time, or not with what was asked for."""

    def __init__(self, sentence: str, *, is_timeout: bool = False) -> None:
        super().__init__(sentence)
        self.is_timeout = is_timeout


def address_of(url: str) -> tuple[str, int]:
    """Return host and port of an http URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80


def get(url: str, path: str, timeout_seconds: float = TIMEOUT_SECONDS) -> str:
    """Return the body of `path`. Raises `NoAnswer` with a reason that an operator can read."""
    host, port = address_of(url)
    connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except TimeoutError:
        raise NoAnswer(f"no answer from {url} within {timeout_seconds:.2g} s", is_timeout=True) from None
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"no answer from {url}: {error}") from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise NoAnswer(f"{url}{path} answered {answer.status}")
    return body.decode(errors="replace")


def get_json(url: str, path: str, timeout_seconds: float = TIMEOUT_SECONDS) -> Any:
    """Return the JSON of `path`. Raises `NoAnswer`."""
    body = get(url, path, timeout_seconds)
    try:
        return json.loads(body)
    except ValueError:
        raise NoAnswer(f"{url}{path} did not answer with JSON") from None
