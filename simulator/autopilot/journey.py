"""From Preparation to Decommission, with chapters on the way (`simulator.autopilot.chapters`)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from simulator.autopilot.chapters import BEFORE_LEAVING, ON_ENTERING, Chapter
from simulator.autopilot.crew import LOGINS, Crew, TookTooLong
from simulator.autopilot.flight import Flight, say

LAST = "decommission"

PHASE_SECONDS = 180.0
SHIFT_SECONDS = 30.0


@dataclass(slots=True)
class Stay:
    """One stay in a phase, as the report tells it."""

    slug: str
    run: int
    started_at: str
    asked_percent: int
    ended_at: str | None = None
    observed_percent: float | None = None


@dataclass(slots=True)
class Journey:
    """Drives the crew through the phases, and tells each chapter once."""

    flight: Flight
    stays: list[Stay] = field(default_factory=list)
    _told: set[Chapter] = field(default_factory=set)

    @property
    def crew(self) -> Crew:
        """The people."""
        return self.flight.crew

    def run(self) -> None:
        """Go all the way. Raises `TookTooLong` with what did not happen."""
        crew = self.crew
        crew.until("robots are heard by the door", self._robots_speak, seconds=60)
        status = self._arrive()
        crew.sign_everything()
        say("  the checklist's seven signatures are given")
        while True:
            slug = status["phase"]["slug"]
            if chapter := self._untold(ON_ENTERING.get(slug, ())):
                chapter(self.flight)
                status = self._arrive()
                continue
            if slug == LAST:
                crew.archive_legacy()
                say("  legacy's last state is being archived")
            self._wait_for_gates(slug)
            self.stays[-1].observed_percent = crew.status()["split"]["observed"]
            if slug == LAST:
                self._leave(crew.status())
                return
            status = self._step(status)

    def _untold(self, chapters: Sequence[Chapter]) -> Chapter | None:
        """The next chapter that was not told, which is told by whoever asks."""
        chapter = next((one for one in chapters if one not in self._told), None)
        if chapter:
            self._told.add(chapter)
        return chapter

    def _arrive(self) -> dict[str, Any]:
        """The state now; another run than the one we knew is a new stay, also where a rollback made it."""
        status = self.crew.status()
        if not self.stays or self.stays[-1].run != status["phase"]["run"]:
            if self.stays:
                self._leave(status)
            self._enter(status)
        return status

    def _step(self, status: dict[str, Any]) -> dict[str, Any]:
        slug = status["phase"]["slug"]
        self._vote(slug)
        while chapter := self._untold(BEFORE_LEAVING.get(slug, ())):
            chapter(self.flight)
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
        self.crew.until("the phase is active", lambda: self._in(done["to_phase"]), seconds=10)
        return self._arrive()

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
        self.stays.append(Stay(phase["slug"], phase["run"], phase["started_at"], status["split"]["asked"]))
        say(f"{phase['name']} since {phase['started_at'][11:19]} UTC")

    def _leave(self, status: dict[str, Any]) -> None:
        self.stays[-1].ended_at = status["at"]

    def _robots_speak(self) -> bool:
        systems = self.crew.status()["systems"]
        return bool(systems["legacy"]["requests"])

    def _ended(self, number: int) -> dict[str, Any] | None:
        shift = self.crew.shift(number)
        return shift if shift["state"] in ("observed", "failed", "cancelled") else None

    def _in(self, slug: str) -> dict[str, Any] | None:
        status = self.crew.status()
        return status if status["phase"]["slug"] == slug else None
