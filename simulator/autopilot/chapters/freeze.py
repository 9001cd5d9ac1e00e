"""A freeze window refuses a step whatever the gates say, until somebody lifts it."""

from datetime import UTC, datetime, timedelta

from simulator.autopilot.flight import Flight, say

REASON = "the daily change of shift on site A"


def refuse_and_lift(flight: Flight) -> None:
    """Freeze, ask for the next phase, and lift the freeze."""
    crew = flight.crew
    ends_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    window = crew.ask("infra", "/api/v2/migration/freezes", {"reason": REASON, "ends_at": ends_at})
    say(f"  frozen: {REASON}")
    moved = crew.advance()
    refused = crew.refusals[-1] if crew.refusals else ""
    crew.ask("infra", f"/api/v2/migration/freezes/{window['id']}/lift", {"reason": "the shift has changed"})
    flight.claim("a freeze window refused the step, and was lifted", moved is None and REASON in refused, refused)
