"""Asking legacy when it last heard its robots: a copy that the mirror lost is not silence."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import structlog

from heartbeat.rules.identity import key_of

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 1.5
#: a decision waits no longer than this for legacy
PATIENCE = timedelta(seconds=2)
#: legacy lists its whole fleet each time: not more often than this
PAUSE_SECONDS = 0.25
MOST_BYTES = 64 * 2**20
#: legacy's clock may run a little ahead of ours
TOLERATED_FUTURE = timedelta(seconds=5)


class _Row(msgspec.Struct):
    robot_id: Any = None
    last_seen: Any = None


_rows = msgspec.json.Decoder(list[_Row])


@dataclass(frozen=True, slots=True)
class Answer:
    """What legacy said to a question asked at `asked_at`: when it last heard whom, or why it could not be asked."""

    asked_at: datetime
    seen: dict[bytes, datetime] = field(default_factory=dict)
    failure: str = ""


class LegacyRows:
    """Asks in a thread of its own, one question at a time, so that a legacy that hangs holds nobody up."""

    def __init__(self, url: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._url = f"{url}/api/robots"
        self._clock = clock
        self._answer = Answer(datetime.min.replace(tzinfo=UTC))
        self._asking: threading.Thread | None = None
        self._asked = float("-inf")

    def since(self, moment: datetime) -> Answer | None:
        """The latest answer if it was asked for at or after `moment`; else one is asked for, and None."""
        answer = self._answer
        if answer.asked_at >= moment:
            return answer
        is_asking = self._asking is not None and self._asking.is_alive()
        if not is_asking and time.monotonic() - self._asked > PAUSE_SECONDS:
            self._asked = time.monotonic()
            self._asking = threading.Thread(target=self._ask, name="ask-legacy", daemon=True)
            self._asking.start()
        return None

    def _ask(self) -> None:
        asked_at = self._clock()
        try:
            seen = self._read(asked_at)
        except (httpx.HTTPError, msgspec.MsgspecError, OSError, ValueError) as error:
            failure = f"legacy could not be asked: {type(error).__name__}"
            if failure != self._answer.failure:
                log.warning("legacy.not_asked", reason=str(error) or repr(error))
            self._answer = Answer(asked_at, failure=failure)
        else:
            self._answer = Answer(asked_at, seen)

    def _read(self, now: datetime) -> dict[bytes, datetime]:
        deadline = time.monotonic() + ANSWER_SECONDS
        body = bytearray()
        with httpx.stream("GET", self._url, timeout=ANSWER_SECONDS) as answer:
            answer.raise_for_status()
            for part in answer.iter_bytes():
                body += part
                if time.monotonic() > deadline or len(body) > MOST_BYTES:
                    raise TimeoutError("legacy's list takes too long or is too long")
        seen: dict[bytes, datetime] = {}
        for row in _rows.decode(body):
            at = _moment(row.last_seen)
            # A time in the future proves nothing, and would keep a dead robot alive until then.
            if not isinstance(row.robot_id, str) or at is None or at > now + TOLERATED_FUTURE:
                continue
            key = key_of(row.robot_id)
            seen[key] = max(at, seen.get(key, at))
        return seen


def _moment(text: Any) -> datetime | None:
    """Legacy writes naive local time; the zone is the one both run in."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None
