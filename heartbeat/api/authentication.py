"""Operators' tokens at the REST API: `Authorization: Bearer lko_…`."""

from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from heartbeat.access import operator_tokens
from heartbeat.api import scoping
from heartbeat.models import OperatorToken
from heartbeat.rules.scopes import covers
from heartbeat.rules.tokens import Sort, bearer_in


class OperatorTokens(BaseAuthentication):
    """Acts as the token's user, within the token's scopes; the views' own permissions come on top.

    The scope is judged here, before any view: one that sets permissions of its own cannot forget it.
    """

    def authenticate(self, request: Request) -> tuple[Any, OperatorToken] | None:
        """The user and the token; None without a bearer token. 401 for one that is not good, 403 for its scopes."""
        secret = bearer_in(get_authorization_header(request))
        if secret is None:
            return None
        if not secret.startswith(Sort.OPERATOR.encode()):
            raise AuthenticationFailed("this API takes operators' tokens (lko_…)")
        token = operator_tokens.holder_of(secret, timezone.now())
        if token is None:
            raise AuthenticationFailed("no live token: it is unknown, revoked or expired, or its user is not active")
        match = request.resolver_match
        try:
            scope = scoping.scope_of(match.route if match else "", request.method or "")
        except scoping.OutOfScope:
            raise PermissionDenied("this call is not open to tokens") from None
        if scope is not None and not covers(token.scopes, scope):
            raise PermissionDenied(f"this needs a token with the scope {scope}; {token} has {', '.join(token.scopes)}")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Answers without any credentials are 401 with this challenge."""
        return 'Bearer realm="operators"'


class OperatorTokensInSchema(OpenApiAuthenticationExtension):
    """How OpenAPI describes them."""

    target_class = "heartbeat.api.authentication.OperatorTokens"
    name = "operatorToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer token."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An operator's token (lko_…). The scope is `area:read` to read and `area:write` to change.",
        }


def actor_of(request: Request) -> str:
    """Who calls, for the audit log: a person, or a person's token."""
    return request.auth.actor if isinstance(request.auth, OperatorToken) else request.user.get_username()
