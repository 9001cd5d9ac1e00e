"""Around the audit log: its anchor on disk, its guard in the database, asking and exporting it."""
