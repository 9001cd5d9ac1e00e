"""A dry run says which robots a step would move; afterwards the ledger says which it moved."""

import time
from typing import Any

from simulator.autopilot.flight import Flight, say

TO = "rollout_50"
#: a robot speaks every second: long enough to hear each of them
LISTEN_SECONDS = 4.0


def foresee(flight: Flight) -> None:
    """Ask what going to 50 % would do."""
    told: dict[str, Any] = flight.crew.read(f"/api/v2/migration/dry-run?to={TO}")
    names = [name.lower() for step in told["steps"] for name in step["names"]]
    flight.foreseen = frozenset(names)
    flight.sides_before = _sides(flight, time.time() - LISTEN_SECONDS, time.time())
    say(f"  the dry run names {len(names)} robots")


def compare(flight: Flight) -> None:
    """Listen to every robot, and compare who went over with who was named."""
    began = time.time()
    flight.crew.until("every robot was heard", lambda: time.time() - began > LISTEN_SECONDS, seconds=30)
    judge(flight, _sides(flight, began, time.time()))


def judge(flight: Flight, after: dict[str, str]) -> None:
    """Claim that those who moved are those who were named."""
    before, foreseen = flight.sides_before, flight.foreseen
    # Robots that speak v2 are answered by new whoever owns them: the ledger cannot tell of those.
    told = {robot for robot in before if robot in after}
    moved = {robot for robot in told if before[robot] == "legacy" and after[robot] == "new"}
    stray = sorted((moved ^ foreseen) & told)
    flight.claim(
        "the dry run named exactly the robots that then moved",
        bool(moved) and not stray,
        f"{len(moved)} moved, {len(foreseen)} named, {len(stray)} otherwise {' '.join(stray[:3])}".rstrip(),
    )


def _sides(flight: Flight, since: float, until: float) -> dict[str, str]:
    """Who answers each robot: the latest word."""
    return {robot_id.lower(): by for robot_id, by in flight.answered(since, until)}
