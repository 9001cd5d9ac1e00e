"""Making a token: the one place where the random bytes come from."""

import secrets
from typing import NamedTuple

from heartbeat.rules.tokens import RANDOM_BYTES, Sort, digest_of, prefix_of, spell


class Minted(NamedTuple):
    """A new token, which is shown once, and what is kept of it."""

    token: str
    digest: bytes
    prefix: str


def mint(sort: Sort) -> Minted:
    """A token that nobody can guess."""
    token = spell(sort, secrets.token_bytes(RANDOM_BYTES))
    return Minted(token, digest_of(token.encode()), prefix_of(token))
