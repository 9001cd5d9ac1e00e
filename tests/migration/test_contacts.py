"""Whom to call, who is on call, who is asked next."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from migration import contacts
from migration.actors import Actor
from migration.checklist import reading, running, signing
from migration.contacts import changing
from migration.models import AuditEntry, Contact, EscalationStep
from migration.rules.contacts import Duty, Watch, first_gap
from migration.rules.sequential import Verdict
from migration.rules.voting import Role
from tests.builders import NOW, person

LEAD = Actor("lead")


def contact(name="Ada", duty=Duty.ON_CALL, **more):
    return changing.put_contact({"name": name, "duty": duty, "telephone": "+00 1", **more}, actor=LEAD)


@pytest.mark.django_db
def test_whoever_the_rota_names_is_on_call_and_asked_first():
    now = datetime.now(UTC)
    ada, bob = contact("Ada"), contact("Bob", is_backup=True)
    assert contacts.on_call(now) is None
    changing.put_on_rota(bob, now - timedelta(hours=1), now + timedelta(hours=1), actor=LEAD)

    assert contacts.on_call(now) == bob
    path = contacts.escalation_path(now)
    assert [(step.after, step.duty) for step in path][:3] == [
        (timedelta(0), Duty.ON_CALL),
        (timedelta(minutes=5), Duty.ON_CALL),
        (timedelta(minutes=10), Duty.TEAM_LEAD),
    ]
    assert path[0].people == (bob, ada)
    assert contacts.on_call(now + timedelta(hours=1)) is None, "the end is not in it"


@pytest.mark.django_db
def test_another_escalation_path_replaces_the_usual_one():
    changing.put_path([(15, Duty.CTO), (3, Duty.BACKEND)], actor=LEAD)

    found = contacts.escalation_path(datetime.now(UTC))
    assert [(step.after.seconds // 60, step.duty) for step in found] == [(3, Duty.BACKEND), (15, Duty.CTO)]
    assert AuditEntry.objects.get().detail["after"] == [[3, "backend"], [15, "cto"]]
    with pytest.raises(changing.BadContact):
        changing.put_path([(3, Duty.BACKEND), (3, Duty.CTO)], actor=LEAD)
    assert EscalationStep.objects.count() == 2


@pytest.mark.django_db
def test_what_cannot_be_is_refused_by_field_and_every_change_is_on_record():
    with pytest.raises(changing.BadContact) as refused:
        contact(telephone=" ")
    assert refused.value.fields == {"telephone": ["give a telephone number or an e-mail address"]}
    now = datetime.now(UTC)
    ada = contact()
    with pytest.raises(changing.BadContact) as refused:
        changing.put_on_rota(ada, now, now, actor=LEAD)
    assert refused.value.fields == {"ends_at": ["the end must be later than the start"]}

    changing.put_contact({"telephone": "+00 2"}, actor=LEAD, contact=ada)
    changing.remove(ada, actor=LEAD)

    removed, changed, entered = AuditEntry.objects.all()
    assert (changed.detail["before"]["telephone"], changed.detail["after"]["telephone"]) == ("+00 1", "+00 2")
    assert (entered.detail["before"], removed.detail["after"]) == (None, None)


@pytest.mark.django_db
def test_a_named_backup_signs_for_the_role_and_it_is_recorded():
    stands_in = person(None, "standin")
    contact("Stand-in", Duty.QA, is_backup=True, login=stands_in)
    from django.contrib.auth.models import Permission

    stands_in.user_permissions.add(Permission.objects.get(codename="sign_off"))

    signed = signing.sign(type(stands_in).objects.get(pk=stands_in.pk), "runbooks", "read")

    assert (signed.role, signed.as_backup) == (Role.QA, True)
    assert contacts.stands_in_for(stands_in) == [Role.QA]


@pytest.mark.django_db
def test_nobody_names_themselves_as_a_backup():
    qa = person(Role.QA)
    own_word = Actor.of(qa)

    with pytest.raises(changing.BadContact) as refused:
        changing.put_contact(
            {"name": "Q", "duty": Duty.MIGRATION_LEAD, "telephone": "1", "is_backup": True, "login": qa}, actor=own_word
        )

    assert refused.value.fields == {"login": ["nobody names themselves as a backup: somebody else enters it"]}
    assert contacts.stands_in_for(qa) == []
    contact("Q", Duty.MIGRATION_LEAD, is_backup=True, login=qa)
    assert contacts.stands_in_for(qa) == [Role.MIGRATION_LEAD]


@pytest.mark.django_db
def test_a_signature_of_the_contacts_is_void_when_they_change():
    ada, on_call = contact(), person(Role.ON_CALL)
    signing.sign(on_call, "contacts", "all answered")
    assert _says("contacts").verdict is Verdict.PASS

    changing.put_contact({"telephone": "+00 9"}, actor=LEAD, contact=ada)

    assert _says("contacts").sentence == "what on_call signed has changed since: sign again"
    signing.sign(on_call, "contacts", "answered again")
    assert _says("contacts").verdict is Verdict.PASS


def _says(name):
    return next(point for point in reading.points(datetime.now(UTC)) if point.name == name)


@pytest.mark.django_db
def test_the_demo_has_everybody_and_nobody_else_gets_made_up_people(monkeypatch):
    with pytest.raises(CommandError, match="only for a demo"):
        call_command("demo_contacts")
    assert running.run(["contacts-complete"], actor=LEAD)[0].verdict == "fail"
    monkeypatch.setenv("DEMO", "1")
    call_command("demo_contacts")
    call_command("demo_contacts")

    assert running.run(["contacts-complete"], actor=LEAD)[0].verdict == "pass"
    assert AuditEntry.objects.filter(actor="demo").count() == 1
    Contact.objects.filter(duty=Duty.CTO).delete()
    assert "escalation to CTO reaches nobody" in contacts.missing(datetime.now(UTC))


HOURS = st.integers(-5, 30).map(lambda hours: NOW + timedelta(hours=hours))


@given(st.lists(st.tuples(HOURS, HOURS).filter(lambda pair: pair[0] < pair[1]), max_size=6))
def test_the_first_gap_is_the_first_hour_that_nobody_covers(pairs):
    end = NOW + timedelta(hours=24)
    hours = [NOW + timedelta(hours=hour) for hour in range(24)]
    uncovered = [hour for hour in hours if not any(start <= hour < stop for start, stop in pairs)]

    assert first_gap([Watch("a", *pair) for pair in pairs], NOW, end) == (uncovered[0] if uncovered else None)
