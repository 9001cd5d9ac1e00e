"""Asking the REST API as a person and as a person's script."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

from heartbeat.access import operator_tokens

API = "/api/v2"
EVERYTHING = ("issue_token", "issue_enrolment_token", "issue_operator_token", "close_legacy_path")


def person(name: str = "ada", permissions: tuple[str, ...] = EVERYTHING) -> User:
    user = User.objects.create_user(name)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="heartbeat", codename__in=permissions))
    return user


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def with_token(user: User, *scopes: str) -> Client:
    now = datetime.now(UTC)
    _, token = operator_tokens.issue(
        user, name="a script", scopes=scopes, expires_at=now + timedelta(days=1), by="a test", at=now
    )
    return Client(headers={"authorization": f"Bearer {token}"})


def post(client: Client, path: str, body: object = None) -> Any:
    return client.post(f"{API}/{path}", {} if body is None else body, content_type="application/json")
