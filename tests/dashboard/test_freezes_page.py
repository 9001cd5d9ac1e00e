"""The page of freezes and pins: who sees what, what a form does, what is refused where it was typed."""

from datetime import UTC, datetime, timedelta

import pytest

from migration.models import FreezeWindow, Pin, TrafficShift
from migration.rules.voting import Role
from tests.builders import heard_robot
from tests.dashboard.test_migration_pages import enabled_buttons, signed_in

pytestmark = pytest.mark.django_db

PAGE = "/migration/freezes/"


def pinned(key="xle_1", side="legacy"):
    return Pin.objects.create(key=key, side=side, reason="odd motors", pinned_by="qa", pinned_at=datetime.now(UTC))


def test_a_viewer_sees_freezes_and_pins_and_no_enabled_button(canary):
    window = FreezeWindow.objects.create(
        reason="shift change", site="A", daily_at="14:00", made_by="lead", made_at=datetime.now(UTC)
    )
    pin, viewer = pinned(), signed_in(None)

    html = viewer.get(PAGE).content.decode()

    assert "daily, 30 min before to 30 min after 14:00 UTC: shift change" in html
    assert "stays on legacy: odd motors" in html
    assert "no robot of this name was ever heard" in html
    assert enabled_buttons(html) == []
    for path in ("freezes/once/", "freezes/daily/", f"freezes/{window.pk}/liftings/", "pins/"):
        assert viewer.post(f"/migration/{path}", {"reason": "x"}).status_code == 403, path
    assert viewer.post(f"/migration/pins/{pin.pk}/unpinnings/", {"reason": "x"}).status_code == 403


def test_a_freeze_around_a_sites_daily_change_is_made_and_lifted_with_reasons(canary):
    heard_robot("xle_1", site="A")
    lead = signed_in(Role.MIGRATION_LEAD)
    given = {"site": "A", "daily_at": "14:00", "time_zone": "Europe/Berlin", "before_minutes": 20, "after_minutes": 40}

    made = lead.post(f"{PAGE}daily/", {f"daily-{name}": value for name, value in given.items()} | {"daily-reason": "x"})

    window = FreezeWindow.objects.get()
    assert (window.site, window.before_minutes, window.time_zone) == ("A", 20, "Europe/Berlin")
    assert "It holds site A." in made["HX-Trigger"]
    lifting = f"{PAGE}{window.pk}/liftings/"
    refused = lead.post(lifting, {f"lift-{window.pk}-reason": " "})
    assert refused.status_code == 422
    assert "Reason: Say why, in a few words." in refused.content.decode()
    assert lead.post(lifting, {f"lift-{window.pk}-reason": "moved"}).status_code == 200
    again = lead.post(lifting, {f"lift-{window.pk}-reason": "moved"})
    assert again.status_code == 422
    assert "lifted by migration_lead" in again.content.decode()


def test_what_is_wrong_with_a_freeze_stands_beside_its_field_and_what_was_typed_is_kept(canary):
    lead = signed_in(Role.MIGRATION_LEAD)
    ago = datetime.now(UTC) - timedelta(hours=2)

    wrong = lead.post(f"{PAGE}once/", {"once-ends_at": f"{ago:%Y-%m-%d %H:%M}", "once-reason": "stocktaking"})
    unread = lead.post(f"{PAGE}daily/", {"daily-daily_at": "2 pm", "daily-time_zone": "Mars", "daily-reason": ""})

    html = wrong.content.decode()
    assert wrong.status_code == 422
    assert 'id="id_once-ends_at_error">Until: a window ends after it starts, and after now' in html
    assert 'value="stocktaking"' in html
    html = unread.content.decode()
    assert "Changes activity daily at: write it as 14:00" in html
    assert 'value="Mars"' in html
    assert not FreezeWindow.objects.exists()


def test_a_robot_is_pinned_with_a_reason_and_unpinned(canary):
    lead = signed_in(Role.MIGRATION_LEAD)
    given = {"pin-robot_id": "XLE_1", "pin-side": "legacy"}

    assert lead.post("/migration/pins/", given).status_code == 422
    asked = lead.post("/migration/pins/", {**given, "pin-reason": "odd motors"})

    shift = TrafficShift.objects.get()
    assert shift.pin_changes == {"xle_1": "legacy"}
    assert "pins: xle_1 → legacy; waits for" in asked.content.decode().replace("&gt;", ">")
    TrafficShift.objects.all().delete()
    pin = pinned()
    assert lead.post(f"/migration/pins/{pin.pk}/unpinnings/", {f"unpin-{pin.pk}-reason": "mended"}).status_code == 200
    assert TrafficShift.objects.get().pin_changes == {"xle_1": None}
    missing = lead.post("/migration/pins/999/unpinnings/", {"unpin-999-reason": "mended"})
    assert missing.status_code == 422
