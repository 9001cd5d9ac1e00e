"""The two calls of legacy's contract that robots make, by the fast path.

Whatever it does not take without a doubt (an odd body, a browser's request) is None: the FastAPI application judges
that, whose judgement is legacy's own.
"""

import re
from urllib.parse import parse_qsl

import msgspec

from heartbeat.ingest.answers import Headers
from heartbeat.ingest.beat import LegacyBeat, check_beat, legacy_beat
from heartbeat.ingest.marks import Marks

#: what Python's JSON parser reads otherwise than msgspec skips it: longer integers than it converts, infinity
_ODD_NUMBER = re.compile(rb"\d{4300}|\d[eE]\+?\d{3}")


class _Status(msgspec.Struct):
    robot_id: str
    status: str
    deployment_id: str | None = None
    version: str | None = None
    message: str | None = None
    health: msgspec.Raw = msgspec.Raw(b"null")


_status_decoder = msgspec.json.Decoder(_Status)


def plain_status(headers: Headers, body: bytes, marks: Marks) -> LegacyBeat | None:
    """The heartbeat in a body that legacy would accept without a doubt, else None."""
    if not _is_json_of_a_robot(headers):
        return None
    try:
        said = _status_decoder.decode(body)
        if not body.isascii():
            body.decode()  # what msgspec skips it does not check
        if b"\\" in body and b"\\u0000" in body:
            return None
        health: bytes | None = bytes(said.health)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if health == b"null":
        health = None
    elif health[:1] != b"{" or _ODD_NUMBER.search(body):
        return None
    return legacy_beat(
        said.robot_id,
        marks,
        call="status",
        size=len(body),
        deployment_id=said.deployment_id,
        version=said.version,
        status=said.status,
        message=said.message,
        health=None if health is None else health.decode(),
    )


def plain_check(headers: Headers, query_string: bytes, marks: Marks) -> tuple[LegacyBeat, str, str] | None:
    """The update check, its group and its current version, of a query that is complete, else None."""
    asked = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
    if "robot_id" not in asked or "current_version" not in asked or b"origin" in headers:
        return None
    group, version = asked.get("group", "all"), asked["current_version"]
    return check_beat(asked["robot_id"], version, group, marks), group, version


def _is_json_of_a_robot(headers: Headers) -> bool:
    """JSON, and no origin: a browser is answered with CORS headers, which the legacy application knows."""
    if b"origin" in headers:
        return False
    kind = headers.get(b"content-type", b"application/json")
    return kind == b"application/json" or kind.partition(b";")[0].strip().lower() in (b"application/json", b"")
