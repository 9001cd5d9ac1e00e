"""Operators' tokens as a way into the REST API."""

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from heartbeat.api import scoping
from heartbeat.models import OperatorToken, RobotToken
from heartbeat.rules.scopes import SCOPES
from migration.models import AuditEntry
from tests.heartbeat.access.asking import API, EVERYTHING, person, post, with_token


def test_a_read_only_token_reads_and_changes_nothing(db):
    script = with_token(person("ada", (*EVERYTHING, "change_robot")), "robots:read", "tokens:read")

    assert script.get(f"{API}/robots").status_code == 200
    assert script.get(f"{API}/robots/r/tokens").status_code == 200
    refused = post(script, "robots/r/tokens")
    assert (refused.status_code, refused["content-type"]) == (403, "application/problem+json")
    assert "the scope tokens:write" in refused.json()["detail"]
    assert post(script, "robots", [{"id": "r"}]).status_code == 403
    assert not RobotToken.objects.exists()


def test_a_scope_opens_its_area_alone(db):
    script = with_token(person(), "migration:write")

    assert script.get(f"{API}/migration/audit").status_code == 200
    assert "robots:read" in script.get(f"{API}/robots").json()["detail"]
    assert "robots:read" in script.get(f"{API}/fleet/summary").json()["detail"]


def test_it_allows_no_more_than_its_user_may_do(db):
    script = with_token(person("ada", ()), *SCOPES)

    assert "the permission heartbeat.issue_token" in post(script, "robots/r/tokens").json()["detail"]
    assert post(script, "migration/votes", {"choice": "go"}).status_code == 403


def test_it_needs_no_cookie_and_is_no_way_into_the_site(db):
    user = person()
    user.is_staff = user.is_superuser = True
    user.save()
    script = with_token(user, *SCOPES)

    assert post(script, "robots/r/tokens").status_code == 201
    assert script.get("/admin/").status_code == 302


def test_it_makes_no_token_that_can_do_more_than_itself(db):
    script = with_token(person(), "tokens:write")
    body = {"name": "x", "expires_in_seconds": 86_400}

    wider = post(script, "operator-tokens", {**body, "scopes": ["tokens:read", "robots:write"]})
    same = post(script, "operator-tokens", {**body, "scopes": ["tokens:write"]})

    assert (wider.status_code, same.status_code) == (403, 201)
    assert "robots:write" in wider.json()["detail"]


@pytest.mark.parametrize("token", ["lko_nobodys", "lkr_a_robots", "x", "\u00e9"])
def test_one_that_is_not_good_is_a_401(db, token):
    answer = Client(headers={"authorization": f"Bearer {token}"}).get(f"{API}/robots")

    assert (answer.status_code, answer["content-type"]) == (401, "application/problem+json")


def test_the_audit_log_names_the_person_and_the_token(db):
    script = with_token(person(), "tokens:write")
    post(script, "robots/lekiwi_1/tokens")

    prefix = OperatorToken.objects.get().prefix
    assert AuditEntry.objects.get(action="token.issued").actor == f"ada (token {prefix}…)"


def test_every_call_of_the_api_has_a_scope():
    routes = dict(_routes(get_resolver().url_patterns))

    assert len(routes) > 20
    unscoped = [route for route, view in routes.items() if view.schema is not None and not _has_scope(route)]
    assert unscoped == []
    with pytest.raises(scoping.OutOfScope):
        scoping.scope_of("api/v2/something-new", "GET")


def _has_scope(route: str) -> bool:
    try:
        scope = scoping.scope_of(route, "GET")
    except scoping.OutOfScope:
        return False
    return scope is None or scope in SCOPES


def _routes(patterns, before: str = ""):
    """Every route under /api/v2/ with its view class."""
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and "api/v2/" in route:
            view = getattr(pattern.callback, "cls", None)
            assert issubclass(view, APIView)
            yield route, view
