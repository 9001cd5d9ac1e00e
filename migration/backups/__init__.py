"""Backups that were tried: the database dumped, restored beside itself and compared; legacy's last state archived.

Others call `latest_verified`, `restore_tables`, `legacy_archive` and `give_way`.
"""

from migration.backups.finding import before_leaving, latest_verified, legacy_archive
from migration.backups.locking import give_way
from migration.backups.restoring import restore_tables

__all__ = ["before_leaving", "give_way", "latest_verified", "legacy_archive", "restore_tables"]
