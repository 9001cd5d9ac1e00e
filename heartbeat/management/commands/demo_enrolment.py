"""`manage.py demo_enrolment FILE`: an enrolment token for the demo's robots, in a file that they read."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from heartbeat.access import enrolment_tokens
from heartbeat.models import EnrolmentToken
from heartbeat.rules.tokens import digest_of
from heartbeat.this_host import on_this_host

NOTE = "the demo's robots"
#: the demo's largest fleet, and again when its tokens are lost
USES = 40_000
GOOD_FOR = timedelta(days=366)
#: another one is made in time: the next start may be weeks from now
RENEWED_BEFORE = timedelta(days=60)


class Command(BaseCommand):
    help = "Write an enrolment token into FILE, readable by its owner alone, unless a good one is there."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        if os.environ.get("DEMO") != "1":
            raise CommandError("a token that replaces other robots' tokens is only for a demo (DEMO=1)")
        now = timezone.now()
        if _is_good(file):
            return
        # Replaces: who deletes the robots' own tokens and not the database must not find them locked out.
        _, token = enrolment_tokens.issue(
            uses=USES, expires_at=now + GOOD_FOR, by=on_this_host(), at=now, note=NOTE, replaces=True
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as written:
            written.write(token)
        new.replace(file)


def _is_good(file: Path) -> bool:
    if not file.exists():
        return False
    known = EnrolmentToken.objects.filter(digest=digest_of(file.read_bytes()), uses_left__gte=USES // 2)
    return known.live(timezone.now() + RENEWED_BEFORE).exists()
