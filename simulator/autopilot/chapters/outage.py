"""`new` answers 500 to everything: the watchdog takes traffic back by itself, and the phase is tried again."""

import os
import sys
import time

from simulator.autopilot.flight import Flight, say


def fail(flight: Flight) -> None:
    """Break it, wait for the rollback, mend it, release the latch."""
    crew = flight.crew
    crew.until("live traffic is measured in the canary", lambda: _observed(flight), seconds=20)
    say("  now `new` answers 500 to everything")
    known, began = len(crew.rollbacks()), time.time()
    failing = [sys.executable, "-m", "simulator.failing", "--port", os.environ["INGEST_PORT"], "--status", "500"]
    flight.control.replace("ingest", failing)
    try:
        crew.until("the watchdog rolls back by itself", lambda: len(crew.rollbacks()) > known, seconds=30)
        latch = crew.until("the latch is set", lambda: crew.status()["latch"], seconds=10)
    finally:
        flight.control.start("ingest")
    crew.until("new is healthy again", lambda: _is_well(flight), seconds=60)
    flight.outages.append((began, time.time()))
    done = crew.rollbacks()[-1]
    flight.claim(
        "the failure of new was rolled back by itself",
        done["trigger"] == "automatic" and done["to_percent"] == 0,
        str(latch["because"]),
    )
    release(flight, "new answers again: mended and checked")


def release(flight: Flight, reason: str) -> None:
    """Wait until `new` is well, and release the latch."""
    flight.crew.until("new is healthy again", lambda: _is_well(flight), seconds=60)
    flight.crew.release_latch(reason)
    flight.crew.until("the latch is released", lambda: flight.crew.status()["latch"] is None, seconds=10)


def _observed(flight: Flight) -> bool:
    split = flight.crew.status()["split"]
    return bool(split["observed"]) and split["in_line"]


def _is_well(flight: Flight) -> bool:
    if flight.crew.lead.get("/api/v2/health").status_code != 200:
        return False
    new = flight.crew.status()["systems"]["new"]
    return bool(new["requests"]) and new["error_percent"] == 0
