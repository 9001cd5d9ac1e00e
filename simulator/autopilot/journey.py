"""From Preparation to Decommission, with one failure of `new` on the way."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulator.autopilot.crew import LOGINS, Crew, TookTooLong

#: the phase in which `new` is made to fail once
FAILS_IN = "canary_10"
LAST = "decommission"

PHASE_SECONDS = 180.0
SHIFT_SECONDS = 30.0


@dataclass(slots=True)
class Stay:
    """One stay in a phase, as the report tells it."""

    slug: str
    started_at: str
    asked_percent: int
    ended_at: str | None = None
    observed_percent: float | None = None


@dataclass(slots=True)
class Journey:
    """Drives the crew through the phases. `break_new` and `mend_new` make `new` fail and bring it back."""

    crew: Crew
    break_new: Callable[[], None]
    mend_new: Callable[[], None]
    stays: list[Stay] = field(default_factory=list)
    #: when `new` was made to fail and when it was mended, Unix time
    outage: tuple[float, float] | None = None
    _failed_once: bool = False

    def run(self) -> None:
        """Go all the way. Raises `TookTooLong` with what did not happen."""
        self.crew.until("robots are heard by the door", self._robots_speak, seconds=60)
        status = self.crew.status()
        self._enter(status)
        self.crew.sign_everything()
        say("  the checklist's seven signatures are given")
        while True:
            if status["phase"]["slug"] == FAILS_IN and not self._failed_once:
                self._failed_once = True
                status = self._fail_once()
                continue
            if status["phase"]["slug"] == LAST:
                self.crew.archive_legacy()
                say("  legacy's last state is being archived")
            self._wait_for_gates(status["phase"]["slug"])
            self.stays[-1].observed_percent = self.crew.status()["split"]["observed"]
            if status["phase"]["slug"] == LAST:
                self._leave(self.crew.status())
                return
            status = self._step(status)

    def _step(self, status: dict[str, Any]) -> dict[str, Any]:
        slug = status["phase"]["slug"]
        self._vote(slug)
        say(f"{status['phase']['name']}: six votes are in, asking for the next phase")
        shift = self.crew.until("the next phase is opened", lambda: self._ask(slug), seconds=PHASE_SECONDS)
        done = self.crew.until(
            f"shift {shift['id']} is over",
            lambda: self._ended(shift["id"]),
            seconds=SHIFT_SECONDS,
            every=0.1,
        )
        if done["state"] != "observed":
            raise TookTooLong(f"shift {done['id']} is {done['state']}: {done['failure']}")
        say(f"  {done['from_percent']} → {done['to_percent']} %, observed in {done['observed_seconds']:.2f} s")
        self._leave(self.crew.status())
        following = self.crew.until("the phase is active", lambda: self._in(done["to_phase"]), seconds=10)
        self._enter(following)
        return dict(following)

    def _vote(self, slug: str) -> None:
        for login in LOGINS:
            self.crew.vote(login, "go", f"the evidence of {slug} is good")

    def _ask(self, slug: str) -> dict[str, Any] | None:
        """Ask for the next phase; votes that a red gate voided meanwhile are cast again once it is green."""
        self.crew.watch()
        if any(vote["void"] for vote in self.crew.status()["votes"]):
            say("  votes were voided: voting again")
            self._vote(slug)
        return self.crew.advance()

    def _fail_once(self) -> dict[str, Any]:
        self.crew.until("live traffic is measured in the canary", self._observed, seconds=20)
        say("  now `new` answers 500 to everything")
        known, began = len(self.crew.rollbacks()), time.time()
        self.break_new()
        try:
            self.crew.until("the watchdog rolls back by itself", lambda: len(self.crew.rollbacks()) > known, seconds=30)
            latch = self.crew.until("the latch is set", lambda: self.crew.status()["latch"], seconds=10)
        finally:
            self.mend_new()
        say(f"  rolled back by itself: {latch['because']}")
        self._leave(self.crew.status())
        self.outage = (began, time.time())
        self.crew.until("new is healthy again", self._new_is_well, seconds=60)
        self.crew.release_latch("new answers again: mended and checked")
        status = self.crew.until("the latch is released", self._unlatched, seconds=10)
        self._enter(status)
        return dict(status)

    def _wait_for_gates(self, slug: str) -> None:
        """Wait until only the votes are missing. After the last phase there is nothing to vote on."""
        seen: set[str] = set()

        def ready() -> bool:
            self.crew.watch()
            status = self.crew.status()
            gates = {gate["name"]: gate for gate in status["gates"]}
            open_ones = [
                gate
                for name, gate in gates.items()
                if name != "consensus" and gate["verdict"] not in ("pass", "waived")
            ]
            for gate in open_ones:
                told = f"  {slug} waits for {gate['label']}: {gate['sentence']}"
                if gate["name"] not in seen:
                    seen.add(gate["name"])
                    say(told)
            return bool(gates) and not open_ones and status["shift"] is None

        try:
            self.crew.until(f"every gate of {slug} but the votes passes", ready, seconds=PHASE_SECONDS, every=0.5)
        except TookTooLong as error:
            waits = [
                f"{gate['label']}: {gate['sentence']}"
                for gate in self.crew.status()["gates"]
                if gate["verdict"] != "pass"
            ]
            raise TookTooLong(f"{error}; it waits for {'; '.join(waits)}") from error

    def _enter(self, status: dict[str, Any]) -> None:
        phase = status["phase"]
        self.stays.append(Stay(phase["slug"], phase["started_at"], status["split"]["asked"]))
        say(f"{phase['name']} since {phase['started_at'][11:19]} UTC")

    def _leave(self, status: dict[str, Any]) -> None:
        self.stays[-1].ended_at = status["at"]

    def _robots_speak(self) -> bool:
        systems = self.crew.status()["systems"]
        return bool(systems["legacy"]["requests"])

    def _observed(self) -> bool:
        status = self.crew.status()
        share = status["split"]["observed"]
        return share is not None and share > 0 and status["split"]["in_line"]

    def _ended(self, number: int) -> dict[str, Any] | None:
        shift = self.crew.shift(number)
        return shift if shift["state"] in ("observed", "failed", "cancelled") else None

    def _in(self, slug: str) -> dict[str, Any] | None:
        status = self.crew.status()
        return status if status["phase"]["slug"] == slug else None

    def _new_is_well(self) -> bool:
        if self.crew.lead.get("/api/v2/health").status_code != 200:
            return False
        new = self.crew.status()["systems"]["new"]
        return bool(new["requests"]) and new["error_percent"] == 0

    def _unlatched(self) -> dict[str, Any] | None:
        status = self.crew.status()
        return status if status["latch"] is None else None


def say(line: str) -> None:
    """Tell the person who watches."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S', time.gmtime())}  {line}\n")
    sys.stdout.flush()
