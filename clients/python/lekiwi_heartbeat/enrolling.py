"""Getting this robot's own token with a token for enrolment."""

from collections.abc import Sequence
from typing import Any

from lekiwi_heartbeat import words
from lekiwi_heartbeat.answers import errors_in
from lekiwi_heartbeat.transport import Address, Requests

PATIENCE_SECONDS = 10.0


class Refused(Exception):
    """The system did not give a token, and says why."""


def enrol(
    url: str,
    enrolment_token: str,
    robot_id: str,
    *,
    kind: str | None = None,
    site: str | None = None,
    tags: Sequence[str] = (),
) -> str:
    """Enrol this robot and return its token (`lkr_…`), which is shown only once: keep it.

    Raises Refused with the system's reason, ConnectionError when nothing answered.
    """
    requests = Requests(Address(url), enrolment_token)
    try:
        answer = requests.post(words.V2_ENROL, words.encode(enrolment(robot_id, kind, site, tags)), PATIENCE_SECONDS)
    finally:
        requests.close()
    if answer is None:
        raise ConnectionError(f"{url} does not answer")
    return token_in(answer.status, answer.content) or _refuse(answer)


def enrolment(robot_id: str, kind: str | None, site: str | None, tags: Sequence[str] = ()) -> dict[str, Any]:
    """The body of an enrolment."""
    body = {"robot_id": robot_id, "kind": kind, "site": site, "tags": list(tags) or None}
    return {name: value for name, value in body.items() if value is not None}


def token_in(status: int, content: object) -> str | None:
    """The token in an answer, if it gives one."""
    token = content.get("token") if status == 201 and isinstance(content, dict) else None
    return token if isinstance(token, str) else None


def _refuse(answer: Any) -> str:
    first = errors_in(answer)[0]
    reason = first.get("reason") if isinstance(first, dict) else first
    raise Refused(f"not enrolled (HTTP {answer.status}): {reason}")
