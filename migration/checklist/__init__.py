"""The checklist before the migration: what a machine can check, and what only a person can sign."""
