"""Django's admin: every model can be looked at and searched, and nothing is changed but by use cases."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import reverse

from migration.models import AuditEntry, MatchEntry, SyncRun
from tests.builders import heard_robot

pytestmark = pytest.mark.django_db

#: their keys have two columns, which the admin cannot carry, or there are too many of them to list
NOT_LISTED = {"Heartbeat", "HeartbeatMinute", "Signal", "QualitySample"}
#: entered in the admin by the same use cases as elsewhere, or plain configuration
ENTERED = {"Vote", "Contact", "Channel", "RotaShift", "EscalationStep", "MatchEntry", "SyncRun", "RobotLayout"}
MODELS = [model for app in ("heartbeat", "teleop", "migration") for model in apps.get_app_config(app).get_models()]


def address_of(model, what):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{what}")


def test_every_model_has_a_list_that_can_be_searched(admin_client):
    unregistered = {model.__name__ for model in MODELS if not admin.site.is_registered(model)}
    assert unregistered == NOT_LISTED

    for model in MODELS:
        if model.__name__ not in unregistered:
            asked = {"q": "x"} if admin.site.get_model_admin(model).search_fields else {}
            assert admin_client.get(address_of(model, "changelist"), asked).status_code == 200, model


def test_nothing_else_is_added_changed_or_deleted_there(rf, admin_user):
    request = rf.get("/admin/")
    request.user = admin_user

    for model in MODELS:
        if admin.site.is_registered(model) and model.__name__ not in ENTERED:
            listed = admin.site.get_model_admin(model)
            assert not listed.has_add_permission(request), model
            assert not listed.has_change_permission(request), model
            assert not listed.has_delete_permission(request), model


def test_an_address_is_matched_and_a_full_sync_is_asked_for_by_the_use_cases(admin_client):
    heard_robot("Lekiwi_1")
    given = {"address": "10.0.0.7", "robot_id": "nobody", "reason": "label on the robot"}

    refused = admin_client.post(address_of(MatchEntry, "add"), given, follow=True)
    matched = [admin_client.post(address_of(MatchEntry, "add"), {**given, "robot_id": "Lekiwi_1"}) for _ in "ab"]
    asked = admin_client.post(address_of(SyncRun, "add"), {})

    assert "No robot is known as" in refused.content.decode()
    assert [answer.status_code for answer in (*matched, asked)] == [302, 302, 302]
    assert MatchEntry.objects.get().matched_by == "admin"
    assert SyncRun.objects.get().asked_by == "admin"
    assert AuditEntry.objects.filter(action="sync.matched", actor="admin").count() == 2
    for row in (MatchEntry.objects.get(), SyncRun.objects.get()):
        shown = reverse(f"admin:migration_{row._meta.model_name}_change", args=[row.pk])
        assert admin_client.get(shown).status_code == 200
