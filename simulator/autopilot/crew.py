"""The people of a migration, each with a login, talking to the public API."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

LOGINS = ("lead", "infra", "backend", "monitoring", "qa", "oncall")
LEAD = "lead"
#: who confirms what needs a second person
SECOND = "infra"
#: what only people know, and who signs it
SIGNATURES = {
    "training": "lead",
    "stakeholders": "lead",
    "maintenance-windows": "infra",
    "firewall": "infra",
    "contacts": "oncall",
    "channels": "monitoring",
    "runbooks": "qa",
}


class TookTooLong(Exception):
    """Something that was waited for did not happen; says what, and what was seen last."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Six people and one site."""

    site: str
    clients: dict[str, httpx.Client]
    #: why a step was refused, each time one was
    refusals: list[str] = field(default_factory=list)

    @classmethod
    def at(cls, site: str) -> "Crew":
        """Log everybody in at this address, once, as a browser does: a password is slow to check."""
        return cls(site, {login: _logged_in(site, login) for login in LOGINS})

    def status(self) -> dict[str, Any]:
        """The state of the migration."""
        answer = self.lead.get("/api/v2/migration")
        answer.raise_for_status()
        return dict(answer.json())

    def configure(self, slug: str, changes: dict[str, Any], reason: str) -> None:
        """Change settings of a phase, as the lead."""
        path = f"/api/v2/migration/phases/{slug}/settings"
        self._checked(LEAD, self.lead.patch(path, json={"changes": changes, "reason": reason}))

    def vote(self, login: str, choice: str, comment: str) -> None:
        """Cast a vote as this person."""
        self._post(login, "/api/v2/migration/votes", {"choice": choice, "comment": comment})

    def sign_everything(self) -> None:
        """Sign each subject of the checklist as the one who can know."""
        for subject, login in SIGNATURES.items():
            self._post(login, f"/api/v2/migration/checks/{subject}/signature", {"comment": "seen and agreed"})

    def watch(self) -> None:
        """Say that somebody is on watch, as an open page does."""
        self._post("oncall", "/api/v2/migration/presence", {})

    def advance(self) -> dict[str, Any] | None:
        """Ask for the next phase, with a second person where it takes two. None while something stands in the way."""
        for login in (LEAD, SECOND):
            body = {"reason": "gates pass, votes are in"}
            answer = self.clients[login].post("/api/v2/migration/advance", json=body)
            if answer.status_code == 409:
                self.refusals.append(str(answer.json()["detail"]))
                return None
            answer.raise_for_status()
            found = answer.json()
            if "proposal" not in found:
                return dict(found)
        return None

    def shift(self, number: int) -> dict[str, Any]:
        """One shift as it is now."""
        answer = self.lead.get(f"/api/v2/migration/shifts/{number}")
        answer.raise_for_status()
        return dict(answer.json())

    def shifts(self) -> list[dict[str, Any]]:
        """All shifts, oldest first."""
        return self._list("/api/v2/migration/shifts")

    def rollbacks(self) -> list[dict[str, Any]]:
        """All rollbacks, oldest first."""
        return self._list("/api/v2/migration/rollbacks")

    def restores(self) -> list[dict[str, Any]]:
        """All restores, oldest first."""
        return self._list("/api/v2/migration/restores")

    def rehearsals(self) -> list[dict[str, Any]]:
        """All rehearsals of the way back, oldest first."""
        return self._list("/api/v2/migration/rehearsals")

    def backups(self) -> list[dict[str, Any]]:
        """All backups, oldest first."""
        return self._list("/api/v2/migration/backups")

    def audit_is_whole(self) -> str:
        """What the audit log's proof says is wrong; empty when nothing is."""
        answer = self.lead.get("/api/v2/migration/audit/proof")
        answer.raise_for_status()
        return "; ".join(answer.json().get("complaints", ["no complaints were told"]))

    def report(self) -> dict[str, Any]:
        """The migration's report."""
        answer = self.lead.get("/api/v2/migration/report")
        answer.raise_for_status()
        return dict(answer.json())

    def archive_legacy(self) -> None:
        """Archive legacy's last state."""
        self._post(LEAD, "/api/v2/migration/backups", {"kind": "legacy", "reason": "the migration is at its end"})

    def release_latch(self, reason: str) -> None:
        """Release the latch as the lead."""
        self._post(LEAD, "/api/v2/migration/latch/release", {"reason": reason})

    def until(self, what: str, holds: Callable[[], Any], *, seconds: float, every: float = 0.25) -> Any:
        """Wait until `holds` answers something true, and return it. Raises `TookTooLong` after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            last = None
            try:
                last = holds()
            except httpx.TransportError as error:
                last = None
                told = repr(error)
            else:
                told = str(last)
            if last:
                return last
            if time.monotonic() > deadline:
                raise TookTooLong(f"{what}: not within {seconds:.0f} s (last: {told})")
            time.sleep(every)

    @property
    def lead(self) -> httpx.Client:
        """The migration lead."""
        return self.clients[LEAD]

    def ask(self, login: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post as this person, and return what was answered."""
        return dict(self._checked(login, self.clients[login].post(path, json=body)).json())

    def read(self, path: str) -> Any:
        """What the lead reads at this path."""
        return self._checked(LEAD, self.lead.get(path)).json()

    def as_nobody(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> None:
        """Post without a login: a machine with a secret of its own."""
        self._checked("a machine", httpx.post(f"{self.site}{path}", json=body, headers=headers, timeout=30.0))

    def _post(self, login: str, path: str, body: dict[str, Any]) -> None:
        self._checked(login, self.clients[login].post(path, json=body))

    def _checked(self, login: str, answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            asked = f"{answer.request.method} {answer.request.url.path}"
            raise RuntimeError(f"{login} {asked}: {answer.status_code} {answer.text}")
        return answer

    def _list(self, path: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        following: str | None = path
        while following:
            answer = self.lead.get(following)
            answer.raise_for_status()
            page = answer.json()
            rows += page["results"]
            following = page["next"]
        return rows[::-1]


def _logged_in(site: str, login: str) -> httpx.Client:
    client = httpx.Client(base_url=site, timeout=30.0)
    client.get("/login/").raise_for_status()
    form = {"username": login, "password": f"{login}-demo", "csrfmiddlewaretoken": client.cookies["csrftoken"]}
    answer = client.post("/login/", data=form)
    if answer.status_code != httpx.codes.FOUND:
        raise RuntimeError(f"{login} cannot log in: {answer.status_code}")
    client.headers["x-csrftoken"] = client.cookies["csrftoken"]
    return client
