"""What the autopilot has beside the control plane, and claims that fail when something is missing."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from embedded.control import Control
from simulator.autopilot.chapters import BEFORE_LEAVING, ON_ENTERING, dry_run, external_check, messages
from simulator.autopilot.crew import Crew
from simulator.autopilot.flight import Flight
from simulator.autopilot.receiver import Receiver, receiving
from simulator.autopilot.report import EVERY_PHASE
from simulator.ledger import STATUS, Exchange, LedgerWriter


@pytest.fixture
def receiver(free_port: int) -> Iterator[Receiver]:
    with receiving(f"http://127.0.0.1:{free_port}/status") as listening:
        yield listening


@pytest.fixture
def flight(receiver: Receiver, tmp_path: Path) -> Flight:
    return Flight(Crew("", {}), Control(tmp_path / "none"), receiver, tmp_path / "ledger", "")


def heartbeats(flight: Flight, at: float, **answered_by: str) -> None:
    ledger = LedgerWriter(flight.ledger)
    for robot_id, by in answered_by.items():
        ledger.request(robot_id, STATUS, Exchange(sent=at, wall=at, outcome=200, answered_by=by, request_id="1"))
    ledger.close()


def test_the_external_check_says_no_once_and_then_yes(receiver: Receiver) -> None:
    receiver.objections.append("a truck stands in aisle 4")

    said = [httpx.post(receiver.check_url, json={"moment": "before"}).json() for _ in range(2)]

    assert said[0] == {"verdict": "fail", "reason": "a truck stands in aisle 4"}
    assert said[1]["verdict"] == "pass"
    assert receiver.vetoes == 1


def test_messages_are_kept_by_channel_and_what_was_not_told_fails_the_claim(flight: Flight) -> None:
    for channel, words in messages.EXPECTED.items():
        httpx.post(f"{flight.receiver.address}{channel}", json={"text": ", ".join(words)})
    told = messages.judge(flight)[0]
    flight.receiver.texts["/alerts"].clear()
    untold = messages.judge(flight)[0]

    assert told.held
    assert not untold.held
    assert "rolled back in /alerts" in untold.found


def test_a_veto_that_never_refused_a_step_fails_the_claim(flight: Flight) -> None:
    flight.receiver.asked += [{"moment": "before"}, {"moment": "during"}, {"moment": "after"}]
    flight.receiver.vetoes = 1

    assert not external_check.judge(flight)[0].held
    flight.crew.refusals.append(f"not yet: {external_check.NAME}: {external_check.OBJECTION}")
    assert external_check.judge(flight)[0].held


def test_only_robots_that_were_answered_within_the_span_are_told(flight: Flight) -> None:
    heartbeats(flight, 10.0, early="legacy")
    heartbeats(flight, 20.0, a="new", b="legacy")

    assert dict(flight.answered(15.0, 25.0)) == {"a": "new", "b": "legacy"}


@pytest.mark.parametrize(("foreseen", "held"), [({"a"}, True), ({"a", "b"}, False), (set(), False)])
def test_a_dry_run_that_named_others_than_those_that_moved_fails_the_claim(
    flight: Flight, foreseen: set[str], held: bool
) -> None:
    flight.foreseen, flight.sides_before = frozenset(foreseen), {"a": "legacy", "b": "legacy"}

    dry_run.judge(flight, {"a": "new", "b": "legacy"})

    assert [claim.held for claim in flight.claims] == [held]


def test_every_chapter_belongs_to_a_phase_of_the_way() -> None:
    assert {*ON_ENTERING, *BEFORE_LEAVING} <= set(EVERY_PHASE)
