"""Compares an answer with the recorded one (or with another system's), allowing only what varies from run to run."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from tests.contract.wire import Answer

NAIVE_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?")
DEPLOYMENT_ID = re.compile(r"dep_[0-9a-f]{12}")
# Every clock reading in the recording was made on this day; no scenario's own data carries it.
RECORDING_DAY = "2026-11-24T"
CLOCK_FIELDS = ("last_seen", "timestamp", "checked_at")
PATIENCE = timedelta(minutes=2)


class Difference(AssertionError):
    """An answer that is not the expected one; the message says where."""


@dataclass(slots=True)
class Comparison:
    """One scenario's comparison: it remembers which of our deployment ids stands for which expected one."""

    known_ids: frozenset[str] = frozenset()
    bound: dict[str, str] = field(default_factory=dict)

    def answer(self, expected: dict[str, Any], actual: Answer) -> None:
        """Compare with a recorded response: its status, each header it lists, and its body. Raises `Difference`."""
        _equal("status", expected["status"], actual.status)
        for name, value in expected["headers"].items():
            self.header(name, value, actual.headers.get(name))
        if "json" in expected:
            self.value("body", expected["json"], _parsed(actual.body))
        if "text" in expected:
            _equal("body", expected["text"], actual.body.decode())
        if "sha256" in expected:
            _equal("length", expected["length"], len(actual.body))
            _equal("sha256", expected["sha256"], hashlib.sha256(actual.body).hexdigest())

    def header(self, name: str, expected: str | None, actual: str | None) -> None:
        """Headers are equal to the letter, but `location` may name another host, and files other ids."""
        if name == "location" and expected is not None and actual is not None:
            _equal(name, urlsplit(expected)._replace(netloc="").geturl(), urlsplit(actual)._replace(netloc="").geturl())
        elif expected is not None and actual is not None:
            self._text(name, expected, actual)
        else:
            _equal(name, expected, actual)

    def value(self, where: str, expected: Any, actual: Any) -> None:
        """Compare JSON values: types, the order of keys and of elements, and every leaf."""
        if isinstance(expected, dict) and isinstance(actual, dict):
            _equal(f"{where}: keys in order", list(expected), list(actual))
            for key, value in expected.items():
                if key in CLOCK_FIELDS and _is_clock_reading(value):
                    _clock_reading(f"{where}.{key}", actual[key])
                elif key == "package_path":
                    _equal(f"{where}.{key}", value.rsplit("/", 1)[1], actual[key].rsplit("/", 1)[1])
                else:
                    self.value(f"{where}.{key}", value, actual[key])
        elif isinstance(expected, list) and isinstance(actual, list):
            _equal(f"{where}: length", len(expected), len(actual))
            for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
                self.value(f"{where}[{index}]", one, other)
        elif isinstance(expected, str) and isinstance(actual, str):
            self._text(where, expected, actual)
        else:
            _equal(f"{where}: type", type(expected).__name__, type(actual).__name__)
            _equal(where, expected, actual)

    def _text(self, where: str, expected: str, actual: str) -> None:
        """Ids of deployments that a rollback made are bound at first sight and must stay the same after."""
        for made in DEPLOYMENT_ID.findall(expected):
            if made in self.known_ids:
                continue
            if made not in self.bound:
                before, after = expected.split(made, 1)
                ours = re.fullmatch(re.escape(before) + f"({DEPLOYMENT_ID.pattern})" + re.escape(after), actual)
                if ours is None:
                    raise Difference(f"{where}: expected an id of a new deployment as in {expected!r}, got {actual!r}")
                self.bound[made] = ours.group(1)
            expected = expected.replace(made, self.bound[made])
        _equal(where, expected, actual)


def _is_clock_reading(value: Any) -> bool:
    return isinstance(value, str) and (value.startswith(RECORDING_DAY) or _is_recent(value))


def _is_recent(value: str) -> bool:
    if not NAIVE_ISO.fullmatch(value):
        return False
    return abs(datetime.fromisoformat(value) - datetime.now()) < PATIENCE


def _clock_reading(where: str, value: Any) -> None:
    if not isinstance(value, str) or not _is_recent(value):
        raise Difference(f"{where}: expected now as a naive local ISO time, got {value!r}")


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise Difference(f"body: expected JSON, got {body[:200]!r}") from error


def _equal(where: str, expected: Any, actual: Any) -> None:
    if expected != actual:
        raise Difference(f"{where}: expected {expected!r}, got {actual!r}")
