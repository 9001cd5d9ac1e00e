"""Tokens for operators' scripts."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from heartbeat.access.errors import WiderThanItself
from heartbeat.access.minting import mint
from heartbeat.models import OperatorToken
from heartbeat.rules.scopes import covers
from heartbeat.rules.tokens import Sort, digest_of
from heartbeat.telling import tell

#: how exactly it is known when a token was last used
USED_TO_WITHIN = timedelta(minutes=5)


@transaction.atomic
def issue(
    user: Any,
    *,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime,
    by: str,
    at: datetime,
    within: Collection[str] | None = None,
) -> tuple[OperatorToken, str]:
    """Make a token that acts for `user` within `scopes`; returns the row and the token.

    `within` are the scopes of the token that asks for it, if one does: raises WiderThanItself for more than those.
    """
    if within is not None and (wider := [scope for scope in scopes if not covers(within, scope)]):
        raise WiderThanItself(wider)
    token, digest, prefix = mint(Sort.OPERATOR)
    row = OperatorToken.objects.create(
        user=user,
        name=name,
        scopes=list(dict.fromkeys(scopes)),
        digest=digest,
        prefix=prefix,
        created_at=at,
        created_by=by,
        expires_at=expires_at,
    )
    sentence = f"issued the token {prefix}… for {user.get_username()}: {', '.join(row.scopes)}"
    detail = {"prefix": prefix, "user": user.get_username(), "scopes": row.scopes, "expires_at": expires_at}
    tell(by, "operator_token.issued", sentence, **detail)
    return row, token


@transaction.atomic
def revoke(token: OperatorToken, *, by: str, at: datetime) -> OperatorToken:
    """Make it worthless from its next call on. Safe to call twice."""
    token = OperatorToken.objects.select_for_update().get(pk=token.pk)
    if token.revoke(by, at):
        token.save(update_fields=["revoked_at", "revoked_by"])
        sentence = f"revoked {token.user.get_username()}'s token {token.prefix}…"
        tell(by, "operator_token.revoked", sentence, prefix=token.prefix)
    return token


def holder_of(secret: bytes, at: datetime) -> OperatorToken | None:
    """The live token of an active user that `secret` is, or None. Writes down that it was used, now and then."""
    token = OperatorToken.objects.select_related("user").live(at).filter(digest=digest_of(secret)).first()
    if token is None or not token.user.is_active:
        return None
    if token.last_used_at is None or token.last_used_at < at - USED_TO_WITHIN:
        OperatorToken.objects.filter(pk=token.pk).update(last_used_at=at)
    return token
