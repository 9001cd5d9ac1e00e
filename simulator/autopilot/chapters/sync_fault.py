"""Legacy is restarted in the middle of it all: its memory is gone, sync notices and tells it again."""

import os
import time
from datetime import datetime

import httpx

from simulator.autopilot.flight import Flight, say

WHOLE_SECONDS = 60.0


def restart_legacy(flight: Flight) -> None:
    """Restart it, and wait until it knows every robot again that it knew before, and the way back is whole."""
    legacy = f"http://127.0.0.1:{os.environ['LEGACY_PORT']}/api/robots"
    before = _known(legacy)
    at = time.time()
    flight.control.restart("legacy")
    say(f"  legacy was restarted: it knew {len(before)} robots, and forgot all of them")

    def whole() -> bool:
        sync = flight.crew.read("/api/v2/migration/sync")
        lost = sync["legacy"]["lost_memory_at"]
        noticed = bool(lost) and datetime.fromisoformat(lost).timestamp() >= at
        return noticed and sync["way_back"]["whole"] and before <= _known(legacy)

    flight.crew.until("legacy knows its robots again", whole, seconds=WHOLE_SECONDS)
    told = flight.crew.read("/api/v2/migration/sync")["legacy"]["lost_memory_rows"]
    flight.claim(
        "legacy lost its memory, which was noticed and told to it again",
        bool(before) and told > 0,
        f"{told} rows were gone, all {len(before)} robots are back after {time.time() - at:.1f} s",
    )


def _known(legacy: str) -> set[str]:
    rows = httpx.get(legacy, timeout=5.0).raise_for_status().json()
    return {str(row.get("robot_id", "")).lower() for row in rows}
