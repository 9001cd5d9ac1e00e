"""What a chapter has at hand: the people, the system's processes, the fleet's ledger, and the page for its claims."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from embedded.control import Control
from simulator.autopilot.claims import Claim
from simulator.autopilot.crew import Crew
from simulator.autopilot.receiver import Receiver
from simulator.ledger import STATUS


@dataclass(slots=True)
class Flight:
    """One run of the autopilot."""

    crew: Crew
    control: Control
    receiver: Receiver
    ledger: Path
    database_url: str
    claims: list[Claim] = field(default_factory=list)
    #: when `new` was made unable to hear, Unix times
    outages: list[tuple[float, float]] = field(default_factory=list)
    #: robots that a dry run said would move, and who answered each robot then
    foreseen: frozenset[str] = frozenset()
    sides_before: dict[str, str] = field(default_factory=dict)

    def claim(self, sentence: str, held: bool, found: str) -> None:
        """Note what was to be shown, and what was."""
        self.claims.append(Claim(sentence, held, found))
        say(f"  {'held' if held else 'FAILED'}: {sentence}: {found}")

    def answered(self, since: float, until: float) -> Iterator[tuple[str, str]]:
        """(robot, who answered) of the heartbeats by the legacy call that were sent in this span of Unix time."""
        with self.ledger.open("rb") as lines:
            for line in lines:
                if not line.startswith(b'["request"') or not line.endswith(b"\n"):
                    continue
                _, _, wall, robot_id, call, _, by, _, _ = json.loads(line)
                if call == STATUS and since <= wall < until and by:
                    yield robot_id, by


def say(line: str) -> None:
    """Tell the person who watches."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S', time.gmtime())}  {line}\n")
    sys.stdout.flush()
