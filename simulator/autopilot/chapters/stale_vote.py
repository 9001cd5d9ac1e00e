"""A vote is bound to what it judged: other settings void it, and the same person votes again."""

from typing import Any

from simulator.autopilot.crew import LEAD
from simulator.autopilot.flight import Flight


def void_and_vote_again(flight: Flight) -> None:
    """Vote early, change a setting of the next phase, and see that the vote counts no more."""
    crew = flight.crew
    crew.vote(LEAD, "go", "it looks well already")
    crew.configure("rollout_25", {"lag_reverse_limit_seconds": 6}, "legacy is asked a little less often")
    vote = crew.until("the vote is void", lambda: _void(_vote_of(flight)), seconds=20)
    crew.vote(LEAD, "go", "it looks well with these settings, too")
    again = _vote_of(flight)
    flight.claim(
        "a vote on other settings was void, and was cast again",
        bool(vote["void_reason"]) and not again["void"] and again["choice"] == "go",
        vote["void_reason"],
    )


def _vote_of(flight: Flight) -> dict[str, Any]:
    return next(vote for vote in flight.crew.status()["votes"] if vote["person"] == LEAD)


def _void(vote: dict[str, Any]) -> dict[str, Any] | None:
    return vote if vote["void"] else None
