"""Telling people: what happened is collected, grouped by destination, and delivered until it is taken."""
