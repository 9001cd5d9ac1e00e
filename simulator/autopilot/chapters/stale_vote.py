"""A vote is bound to what it judged: other settings void it, and the same person votes again."""

from typing import Any

from simulator.autopilot.crew import LEAD
from simulator.autopilot.flight import Flight


def void_and_vote_again(flight: Flight) -> None:
    """Vote early, change a setting of the next phase, and see that the vote counts no more."""
    crew = flight.crew
    crew.vote(LEAD, "go", "it looks well already")
    crew.configure("rollout_25", {"lag_reverse_limit_seconds": 6}, "legacy is asked a little less often")
    vote = crew.until("the vote is void", lambda: _void(flight), seconds=20)
    # The evidence begins again with the settings, and a vote that came before that is void, too.
    again = crew.until("the new vote counts", lambda: _voted_again(flight), seconds=20, every=1.0)
    flight.claim(
        "a vote on other settings was void, and was cast again",
        vote["void_reason"] != "" and again["choice"] == "go",
        vote["void_reason"],
    )


def _voted_again(flight: Flight) -> dict[str, Any] | None:
    """The vote, once it is older than a look of those who void votes."""
    if not (vote := _void(flight)):
        return _vote_of(flight)
    flight.crew.vote(LEAD, "go", f"it looks well with these settings, too ({vote['void_reason']})")
    return None


def _vote_of(flight: Flight) -> dict[str, Any]:
    return next(vote for vote in flight.crew.status()["votes"] if vote["person"] == LEAD)


def _void(flight: Flight) -> dict[str, Any] | None:
    vote = _vote_of(flight)
    return vote if vote["void"] else None
