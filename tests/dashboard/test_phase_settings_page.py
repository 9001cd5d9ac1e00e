"""The page of a phase's settings: every one is there, changing takes a reason and a confirmation."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.setting_fields import SETTINGS, field_of
from migration import configuring
from migration.actors import Actor
from migration.models import PhaseConfiguration
from migration.rules.phases import PHASES
from migration.rules.settings import PhaseSettings, settings_of
from migration.rules.voting import Role
from tests.dashboard.test_migration_pages import enabled_buttons, signed_in

PAGE = "/migration/settings/"


def as_typed(slug, **changes):
    """What the form sends when nothing but `changes` was touched."""
    told = configuring.told(slug)
    typed = {}
    for name, value in told["settings"].items():
        text = field_of(name).prepare_value(value)
        typed[name] = (
            "" if text is None else [str(one) for one in text] if isinstance(text, list | tuple) else str(text)
        )
    return {**typed, "revision": told["revision"], "reason": "measured", "confirmed": "on", **changes}


def test_every_setting_has_a_field():
    assert set(SETTINGS) == {field.name for field in fields(PhaseSettings)}


@given(st.one_of(st.integers(0, 10**9), st.floats(0, 1e9).map(lambda seconds: round(seconds, 3))).map(float))
def test_a_duration_reads_as_it_was_written(seconds):
    field = field_of("bake_seconds")

    assert field.clean(field.prepare_value(seconds)) == seconds


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.slug)
def test_defaults_typed_back_are_the_defaults(phase):
    defaults = configuring.as_mapping(settings_of(phase.slug))
    hook = {"name": "load", "url": "https://x.example/", "when": ["before", "after"], "timeout_seconds": 2.5}

    for name, value in {**defaults, "hooks": [hook], "ramp": (5, 7), "cohorts": ("kind=xle",)}.items():
        field = field_of(name)
        typed = field.prepare_value(value)
        read = field.clean(str(typed) if isinstance(value, bool | float | int) else typed)
        assert read == (list(value) if isinstance(value, tuple) else value), name


@pytest.mark.django_db
def test_a_viewer_reads_every_setting_and_may_change_none(canary):
    viewer = signed_in(None)

    html = viewer.get(PAGE).content.decode()

    assert "Settings of Rollout 25 %" in html, "the phase that is entered next"
    assert all(setting.label.replace("'", "&#x27;") in html for setting in SETTINGS.values())
    assert "<input" not in html.partition('id="phase-settings"')[2].partition("</main>")[0]
    assert enabled_buttons(html) == []
    assert viewer.post(f"{PAGE}rollout_25/", as_typed("rollout_25", quorum="6")).status_code == 403
    assert viewer.get(f"{PAGE}?phase=nowhere").status_code == 404


@pytest.mark.django_db
def test_what_differs_is_changed_and_a_default_typed_in_is_the_default_again(canary):
    lead = signed_in(Role.MIGRATION_LEAD)

    changed = lead.post(f"{PAGE}rollout_25/", as_typed("rollout_25", ramp="15, 20", bake_seconds="5 min", quorum="5"))
    assert changed.status_code == 200, changed.content.decode()[-1500:]
    assert PhaseConfiguration.objects.get().changed == {"ramp": [15, 20], "bake_seconds": 300.0, "quorum": 5}
    assert "Ramp" in changed["HX-Trigger"]
    lead.post(f"{PAGE}rollout_25/", as_typed("rollout_25", quorum="", ramp=""))

    assert PhaseConfiguration.objects.get().changed == {"bake_seconds": 300.0}
    html = lead.get(f"{PAGE}?phase=rollout_25").content.decode()
    assert "default 10 min" in html
    assert "revision 2, last changed by migration_lead" in html


@pytest.mark.django_db
def test_a_setting_that_makes_no_sense_is_named_beside_its_field_and_nothing_is_changed(canary):
    lead = signed_in(Role.MIGRATION_LEAD)

    for changes, told in (
        ({"ramp": "20, 15"}, 'id="id_ramp_error">Ramp: does not rise from step to step'),
        ({"bake_seconds": "soon"}, 'id="id_bake_seconds_error">Bake time: write it as 30 s'),
        ({"quorum": "9"}, "Quorum: 9 is no whole number from 1 to 6"),
        ({"hooks": "load | ftp://x"}, "is no http or https address"),
        ({"quorum": "5", "reason": ""}, "Reason: Say why, in a few words."),
        ({"quorum": "5", "confirmed": ""}, "Confirmation: tick it"),
        ({}, "Nothing differs from what holds now"),
    ):
        sent = as_typed("rollout_25", **changes)
        answer = lead.post(f"{PAGE}rollout_25/", {name: value for name, value in sent.items() if value != ""})
        html = answer.content.decode().replace("&#x27;", "'")
        assert answer.status_code == 422, changes
        assert told in html, changes
        assert all(value in html for name, value in changes.items() if value), "what was typed is kept"
    assert not PhaseConfiguration.objects.exclude(changed={}).exists()


@pytest.mark.django_db
def test_nobody_undoes_a_change_that_they_have_not_seen(canary):
    lead = signed_in(Role.MIGRATION_LEAD)
    seen = as_typed("rollout_25", stability_seconds="10 min")
    configuring.change("rollout_25", {"quorum": 6}, actor=Actor("infra"), reason="all of us")

    answer = lead.post(f"{PAGE}rollout_25/", seen)

    assert answer.status_code == 422
    assert "Infra has changed them since you looked" in answer.content.decode()
    assert PhaseConfiguration.objects.get().changed == {"quorum": 6}
