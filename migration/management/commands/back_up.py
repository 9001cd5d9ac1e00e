"""`manage.py back_up ["reason"] [--legacy] [--list] [--verify NUMBER]`."""

from typing import Any

from django.core.management.base import CommandParser

from migration.actors import Actor
from migration.backups import verifying
from migration.backups.archiving import archive_legacy
from migration.backups.making import back_up
from migration.errors import Refused
from migration.models import Backup
from migration.runbook import RunbookCommand, not_done, wrong


class Command(RunbookCommand):
    help = "Back up the database, restore the backup beside it and compare; or archive what legacy holds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reason", nargs="?", default="by hand", help="kept with the backup and in the audit log")
        parser.add_argument("--legacy", action="store_true", help="archive legacy's state instead of the database")
        parser.add_argument("--verify", type=int, metavar="NUMBER", help="read that backup back again and compare")
        parser.add_argument("--list", action="store_true", dest="listed", help="show the backups there are")

    def handle(self, *args: Any, reason: str, legacy: bool, verify: int | None, listed: bool, **options: Any) -> None:
        if listed:
            for backup in Backup.objects.all():
                self.stdout.write(_line(backup))
            return
        try:
            if verify is not None:
                found = Backup.objects.filter(pk=verify, state__in=[Backup.State.MADE, Backup.State.VERIFIED]).first()
                if found is None:
                    raise wrong(f"there is no backup {verify} that could be read back")
                backup = verifying.verify_again(found, actor=Actor.on_this_host())
            elif legacy:
                backup = archive_legacy(reason, actor=Actor.on_this_host())
            else:
                backup = back_up(reason, actor=Actor.on_this_host())
        except Refused as error:
            raise not_done(str(error)) from error
        if backup.state != Backup.State.VERIFIED:
            raise not_done(f"backup {backup.pk} failed: {backup.failure}")
        self.stdout.write(_line(backup))


def _line(backup: Backup) -> str:
    size = f"{backup.size_bytes / 1e6:.1f} MB" if backup.size_bytes else "no file"
    rows = f", {backup.rows:,} rows" if backup.rows is not None else ""
    left_out = f", without {len(backup.left_out)} days of raw heartbeats" if backup.left_out else ""
    told = f": {backup.failure}" if backup.failure else ""
    return (
        f"{backup.pk}  {backup.begun_at:%Y-%m-%d %H:%M:%S} UTC  {backup.kind}  {backup.state}  {size}{rows}{left_out}"
        f"  {backup.path}{told}"
    )
