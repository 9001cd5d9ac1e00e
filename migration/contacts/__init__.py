"""Whom to call and where to talk. Others call `on_call`, `escalation_path`, `stands_in_for` and `missing`."""

from migration.contacts.finding import channel, digest, escalation_path, missing, on_call, stands_in_for

__all__ = ["channel", "digest", "escalation_path", "missing", "on_call", "stands_in_for"]
