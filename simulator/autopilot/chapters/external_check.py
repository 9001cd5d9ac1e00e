"""An external check, asked by HTTP, vetoes a step once and lets it through the next time."""

from simulator.autopilot.claims import Claim
from simulator.autopilot.flight import Flight

NAME = "warehouse"
OBJECTION = "a truck stands in aisle 4"


def configure(flight: Flight) -> None:
    """Let the step into 50 % ask it."""
    hook = {"name": NAME, "url": flight.receiver.check_url, "when": ["before", "during", "after"]}
    flight.crew.configure("rollout_50", {"hooks": [hook]}, "the warehouse has a say")


def object_once(flight: Flight) -> None:
    """Say no to the next question."""
    flight.receiver.objections.append(OBJECTION)


def judge(flight: Flight) -> list[Claim]:
    """What came of it, at the end."""
    receiver = flight.receiver
    refused = [sentence for sentence in flight.crew.refusals if OBJECTION in sentence]
    moments = {str(asked["moment"]) for asked in receiver.asked}
    found = f"{receiver.vetoes} vetoes, {len(refused)} refused, asked {', '.join(sorted(moments)) or 'never'}"
    held = receiver.vetoes == 1 and len(refused) == 1 and moments == {"before", "during", "after"}
    return [Claim("an external check vetoed a step once, then let it through", held, found)]
