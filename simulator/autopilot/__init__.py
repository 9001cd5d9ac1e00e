"""Runs a whole migration as people would: through the public API, as the six roles, on real evidence."""
