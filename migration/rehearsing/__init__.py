"""The way back is rehearsed all the time, and steps forward wait for a fresh proof."""

from migration.rehearsing.proof import proof, why_locked
from migration.rehearsing.rehearse import rehearse, rehearse_if_due

__all__ = ["proof", "rehearse", "rehearse_if_due", "why_locked"]
