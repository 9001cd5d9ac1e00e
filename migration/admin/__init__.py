"""The control plane in Django's admin."""

from migration.admin import records, sync

__all__ = ["records", "sync"]
