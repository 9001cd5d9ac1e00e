"""What people were told of it all, by the local chat's two channels."""

from collections.abc import Mapping

from simulator.autopilot.claims import Claim
from simulator.autopilot.flight import Flight

STATUS, ALERTS = "/status", "/alerts"
#: what each channel has to have been told, by words of the message
EXPECTED: Mapping[str, tuple[str, ...]] = {
    STATUS: ("confirmed", "vote", "froze"),
    ALERTS: ("rolled back", "MotorsStall", "DiskFillsUp"),
}


def judge(flight: Flight) -> list[Claim]:
    """Everything that people were to be told of arrived."""
    texts = {channel: "\n".join(flight.receiver.texts.get(channel, [])) for channel in EXPECTED}
    missing = [
        f"{word} in {channel}"
        for channel, words in EXPECTED.items()
        for word in words
        if word.lower() not in texts[channel].lower()
    ]
    counted = ", ".join(f"{len(flight.receiver.texts.get(channel, []))} in {channel}" for channel in EXPECTED)
    return [
        Claim(
            "shifts, votes, freezes, alerts and rollbacks were told to the chat's channels",
            not missing,
            counted + (f"; missing: {', '.join(missing)}" if missing else ""),
        )
    ]
