"""The marks that only the robots' door can set, and what they make of a request (DESIGN.md, "Words")."""

import uuid
from collections.abc import Iterable, Mapping
from typing import NamedTuple

OWNER, FAILOVER, SHADOW = "owner", "failover", "shadow"
SIDES = {b"new": "new", b"legacy": "legacy"}
#: identities that are not UUIDs are folded into this name space
_REQUESTS = uuid.UUID("a7d1f2c2-5d0a-4a0c-9d1c-0f2f6f0f7a11")


class Marks(NamedTuple):
    """Who owns the robot, what `new` is for this request, the request's identity, where it came from."""

    role: str
    side: str
    request_id: uuid.UUID
    #: the identity as it is answered in `x-request-id`
    request_id_text: bytes
    address: str
    #: whether the door serves no v2 now, so that every robot has to get through the legacy call
    v2_refused: bool = False


def marks_of(headers: Iterable[tuple[bytes, bytes]], client: tuple[str, int] | None = None) -> Marks:
    """Read the marks from raw ASGI headers; `client` is the peer, used when no proxy names one."""
    given = dict(headers)
    side = SIDES.get(given.get(b"x-side", b""), "")
    role = SHADOW if b"x-shadow" in given else FAILOVER if side == "legacy" else OWNER
    text = given.get(b"x-request-id", b"")
    request_id = _identity(text) if text else uuid.uuid4()
    return Marks(
        role,
        side,
        request_id,
        text or str(request_id).encode(),
        _address(given, client),
        given.get(b"x-v2") == b"refused",
    )


def _address(given: Mapping[bytes, bytes], client: tuple[str, int] | None) -> str:
    """Where the robot called from, as the door saw it: a copy's `x-forwarded-for` ends with the door itself."""
    seen = given.get(b"x-envoy-external-address") or given.get(b"x-forwarded-for", b"").rpartition(b",")[2]
    return seen.strip().decode("latin-1")[:64] or (client[0] if client else "")


def _identity(text: bytes) -> uuid.UUID:
    try:
        return uuid.UUID(text.decode("latin-1"))
    except ValueError:
        return uuid.uuid5(_REQUESTS, text.decode("latin-1"))
