"""Enrolment tokens: good for a number of robots, for a time."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from heartbeat.access.minting import mint
from heartbeat.models import EnrolmentToken
from heartbeat.rules.kind import kind_from_word
from heartbeat.rules.tags import in_order
from heartbeat.rules.tokens import Sort
from heartbeat.telling import tell


@transaction.atomic
def issue(
    *,
    uses: int,
    expires_at: datetime,
    by: str,
    at: datetime,
    note: str = "",
    kind: str = "",
    site: str = "",
    tags: Sequence[str] = (),
    replaces: bool = False,
) -> tuple[EnrolmentToken, str]:
    """Make a token for `uses` robots; returns the row and the token.

    `replaces`: a robot that has a token may enrol again with it, which revokes the old one.
    """
    token, digest, prefix = mint(Sort.ENROLMENT)
    row = EnrolmentToken.objects.create(
        digest=digest,
        prefix=prefix,
        created_at=at,
        created_by=by,
        expires_at=expires_at,
        note=note,
        uses_granted=uses,
        uses_left=uses,
        kind=kind_from_word(kind),
        site=site,
        tags=in_order(tags),
        replaces=replaces,
    )
    sentence = f"issued the enrolment token {prefix}… for {uses} robots"
    tell(by, "enrolment_token.issued", sentence, prefix=prefix, uses=uses, expires_at=expires_at)
    return row, token


@transaction.atomic
def revoke(token: EnrolmentToken, *, by: str, at: datetime) -> EnrolmentToken:
    """Let nobody enrol with it any more; robots that did keep their tokens. Safe to call twice."""
    token = EnrolmentToken.objects.select_for_update().get(pk=token.pk)
    if token.revoke(by, at):
        token.save(update_fields=["revoked_at", "revoked_by"])
        sentence = f"revoked the enrolment token {token.prefix}…"
        tell(by, "enrolment_token.revoked", sentence, prefix=token.prefix, uses_left=token.uses_left)
    return token
