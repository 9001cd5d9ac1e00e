"""Tokens: what they look like, and what of them is stored.

A token is 32 random bytes behind a prefix that says its sort. Only its SHA-256 is stored. A slow hash (as for
passwords) would buy nothing: nobody guesses 256 random bits, and ingest hashes a token with every heartbeat. Looking a
hash up in an index is safe against timing: who can time it cannot choose the hash's bytes.
"""

import base64
import hashlib
from enum import StrEnum

#: how many random bytes a token carries
RANDOM_BYTES = 32
#: the prefix and 8 of 43 characters are shown; the other 208 bits stay secret
SHOWN_CHARACTERS = 12

_SCHEME = b"Bearer "


class Sort(StrEnum):
    """Whose token it is, as its first characters say."""

    ROBOT = "lkr_"
    ENROLMENT = "lke_"
    OPERATOR = "lko_"


def spell(sort: Sort, random: bytes) -> str:
    """The token that carries `random` (RANDOM_BYTES of it): URL-safe, so that it fits into a header and a path."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"a token carries {RANDOM_BYTES} random bytes, not {len(random)}")
    return sort + base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def digest_of(token: bytes) -> bytes:
    """What is stored of a token: its SHA-256, 32 bytes."""
    return hashlib.sha256(token).digest()


def prefix_of(token: str) -> str:
    """What may be shown of a token, to tell it from others."""
    return token[:SHOWN_CHARACTERS]


def bearer_in(authorization: bytes | None) -> bytes | None:
    """The token in an `Authorization` header, or None: no header, another scheme, nothing behind it."""
    if authorization is None:
        return None
    if authorization[:7] == _SCHEME:
        return authorization[7:].strip() or None
    scheme, _, token = authorization.partition(b" ")
    return token.strip() or None if scheme.lower() == b"bearer" else None
