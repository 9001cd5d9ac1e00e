"""`manage.py demo_contacts`: made-up contacts, channels and a rota, for a demo on a laptop. Refused outside one."""

import os
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from migration import audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.management.commands.demo_users import LOGINS
from migration.models import Channel, Contact, RotaShift
from migration.rules.contacts import WITH_BACKUP, Duty, Purpose
from migration.runbook import RunbookCommand, not_done

#: how far ahead the rota of a demo reaches
ROTA = timedelta(days=60)
_TURN = timedelta(days=7)


class Command(RunbookCommand):
    help = "Fill the page of contacts with made-up people, unless somebody is entered there."

    def handle(self, *args: Any, **options: Any) -> None:
        if os.environ.get("DEMO") != "1":
            raise not_done("made-up contacts are only for a demo (DEMO=1)")
        now = system_clock().now()
        before = Contact.objects.count() + Channel.objects.count() + RotaShift.objects.count()
        if not Contact.objects.exists():
            for number, duty in enumerate(Duty):
                self._person(number, duty, now)
        for purpose in Purpose:
            if not Channel.objects.filter(purpose=purpose).exists():
                address = f"https://chat.example.org/migration-{purpose.value.replace('_', '-')}"
                Channel.objects.create(purpose=purpose, name=purpose.words, address=address, changed_at=now)
        self._rota(now)
        made = Contact.objects.count() + Channel.objects.count() + RotaShift.objects.count() - before
        if made:  # one entry and not thirty: this is no change that anybody asks about
            sentence = f"entered made-up contacts, channels and a rota ({made} rows)"
            audit.record(Actor("demo"), "contacts", sentence, at=now)

    def _person(self, number: int, duty: Duty, now: datetime) -> None:
        login = next((name for name, role in LOGINS.items() if role.value == duty.value), None)
        fields = {
            "duty": duty,
            "name": f"{duty.words} (demo)",
            "telephone": f"+00 555 01{number:02d}",
            "email": f"{duty.value.replace('_', '-')}@example.org",
            "changed_at": now,
            "login": User.objects.filter(username=login).first(),
        }
        Contact.objects.create(**fields)
        if duty in WITH_BACKUP:
            # the login of the next role stands in, so that every vote can be tried
            stands_in = list(LOGINS)[(list(LOGINS.values()).index(duty.value) + 1) % len(LOGINS)]
            backup = {"name": f"Backup of {duty.words} (demo)", "telephone": f"+00 555 02{number:02d}"}
            login = User.objects.filter(username=stands_in).first()
            Contact.objects.create(**{**fields, **backup, "login": login, "is_backup": True})

    def _rota(self, now: datetime) -> None:
        """Weekly turns of those who are on call, ahead from now."""
        people = list(Contact.objects.filter(duty=Duty.ON_CALL))
        last = RotaShift.objects.filter(ends_at__gt=now).order_by("-ends_at").first()
        start, turn = (last.ends_at if last else now), 0
        while people and start < now + ROTA:
            RotaShift.objects.create(contact=people[turn % len(people)], starts_at=start, ends_at=start + _TURN)
            start, turn = start + _TURN, turn + 1
