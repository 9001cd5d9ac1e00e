"""Keeping legacy and `new` in step, both ways (docs/sync.md)."""
