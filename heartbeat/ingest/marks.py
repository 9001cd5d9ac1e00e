"""The marks that only the robots' door can set, and what they make of a request (DESIGN.md, "Words")."""

import os
import uuid
from collections.abc import Mapping
from itertools import count

import msgspec

OWNER, FAILOVER, SHADOW = "owner", "failover", "shadow"
SIDES = {b"new": "new", b"legacy": "legacy"}
#: identities that are not UUIDs are folded into this name space
_REQUESTS = uuid.UUID("a7d1f2c2-5d0a-4a0c-9d1c-0f2f6f0f7a11")
#: requests that no door numbered: a random beginning a process, then a count
_OURS = str(uuid.UUID(bytes=os.urandom(16)))[:24].encode()
_counted = count()


class Marks(msgspec.Struct, frozen=True, gc=False):
    """Who owns the robot, what `new` is for this request, the request's identity, where it came from."""

    role: str
    side: str
    #: the request's identity as it is answered in `x-request-id`
    request_id_text: bytes
    address: str
    #: the door refuses v2 now, so a robot that has a token may speak legacy's words without it
    v2_refused: bool = False

    @property
    def request_id(self) -> uuid.UUID:
        """The identity as it is stored."""
        text = self.request_id_text.decode("latin-1")
        try:
            return uuid.UUID(text)
        except ValueError:
            return uuid.uuid5(_REQUESTS, text)


def marks_of(given: Mapping[bytes, bytes], client: tuple[str, int] | None = None) -> Marks:
    """Read the marks from headers, their names in lower case; `client` is the peer, used when no proxy names one."""
    side = SIDES.get(given.get(b"x-side", b""), "")
    role = SHADOW if b"x-shadow" in given else FAILOVER if side == "legacy" else OWNER
    text = given.get(b"x-request-id") or b"%s%012x" % (_OURS, next(_counted))
    return Marks(role, side, text, _address(given, client), given.get(b"x-v2") == b"refused")


def _address(given: Mapping[bytes, bytes], client: tuple[str, int] | None) -> str:
    """Where the robot called from, as the door saw it: a copy's `x-forwarded-for` ends with the door itself."""
    seen = given.get(b"x-envoy-external-address") or given.get(b"x-forwarded-for", b"").rpartition(b",")[2]
    return seen.strip().decode("latin-1")[:64] or (client[0] if client else "")
