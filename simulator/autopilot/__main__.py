"""`python -m simulator.autopilot --control SOCKET --ledger FILE [--report FILE]`, run by `bin/demo --autopilot`."""

import argparse
import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path

import httpx

from embedded.control import Control
from simulator.autopilot import accounts
from simulator.autopilot.chapters import external_check, messages
from simulator.autopilot.crew import Crew, TookTooLong
from simulator.autopilot.flight import Flight, say
from simulator.autopilot.journey import Journey
from simulator.autopilot.receiver import Receiver, receiving
from simulator.autopilot.report import EVERY_PHASE, Report, judge


def main() -> int:
    """Run the migration, settle the accounts, print a summary. 0 only if every claim held."""
    parser = argparse.ArgumentParser(description="Run a whole migration as its six roles would.")
    parser.add_argument("--control", required=True, help="control socket of the running demo")
    parser.add_argument("--ledger", type=Path, required=True, help="the fleet's ledger")
    parser.add_argument("--report", type=Path, help="write the report to this file")
    parser.add_argument("--v2-share", type=float, default=0.0, help="share of the robots that speak v2")
    parser.add_argument("--mild-latency", action="store_true", help="the machine carries other work as well")
    asked = parser.parse_args()
    began = time.monotonic()
    with receiving(os.environ["NOTIFY_STATUS_WEBHOOK"]) as receiver:
        report = fly(asked, receiver)
    if asked.report:
        asked.report.write_text(json.dumps(report.as_json(), indent=1) + "\n")
    summarise(report, time.monotonic() - began)
    return 0 if report.ok else 1


def fly(asked: argparse.Namespace, receiver: Receiver) -> Report:
    """The whole journey, and what it showed."""
    crew = Crew.at(f"http://127.0.0.1:{os.environ['OWN_DOOR_PORT']}")
    flight = Flight(crew, Control(asked.control), receiver, asked.ledger, os.environ["DATABASE_URL"])
    if asked.mild_latency:
        judge_latency_mildly(crew)
    journey = Journey(flight)
    stopped_by = ""
    try:
        journey.run()
    except (TookTooLong, RuntimeError, httpx.HTTPError) as error:
        stopped_by = str(error) or repr(error)
        say(f"stopped: {stopped_by}")
    return settle(journey, asked, stopped_by)


def judge_latency_mildly(crew: Crew) -> None:
    """As people may where one machine carries everything: before the way begins, so that no vote is voided by it."""
    for slug in EVERY_PHASE[1:]:
        changes = {"slow_limit_percent": 90, "slower_than_legacy_ms": 3000, "cpu_limit_percent": 100}
        crew.configure(slug, changes, "this machine carries other work as well")


def settle(journey: Journey, asked: argparse.Namespace, stopped_by: str) -> Report:
    """Stop the fleet, wait until the watchdog has counted its last calls, and compare everything."""
    flight, crew = journey.flight, journey.flight.crew
    flight.control.stop("fleet")
    finished = time.time()
    try:
        crew.until("the last calls are counted", lambda: _counted_since(crew, finished), seconds=15)
    except TookTooLong as error:
        stopped_by = f"{stopped_by}; {error}" if stopped_by else str(error)
    return judge(
        Report(
            robots=len(accounts.read_ledger(asked.ledger).by_robot),
            accounts=accounts.settle(
                asked.ledger,
                flight.database_url,
                mirrored=mirrored(journey, finished),
                outages=flight.outages,
            ),
            journey=journey,
            shifts=crew.shifts(),
            rollbacks=crew.rollbacks(),
            totals=accounts.traffic_totals(flight.database_url),
            audit=crew.audit_is_whole(),
            rehearsals=crew.rehearsals(),
            backups=crew.backups(),
            migration=crew.report(),
            chapters=[*flight.claims, *external_check.judge(flight), *messages.judge(flight)],
            stopped_by=stopped_by,
            v2_share=asked.v2_share,
        )
    )


def mirrored(journey: Journey, finished: float) -> list[tuple[float, float]]:
    """When `new` was to hear copies, Unix time: in every stay but those in Preparation."""
    began = [datetime.fromisoformat(stay.started_at).timestamp() for stay in journey.stays]
    ended = [*began[1:], finished]
    spans = zip(journey.stays, began, ended, strict=True)
    return [(start, end) for stay, start, end in spans if stay.slug != "preparation"]


def _counted_since(crew: Crew, moment: float) -> bool:
    """Whether the watchdog made progress twice after this moment, so that a late copy is in as well."""
    age = next(guard["age_seconds"] for guard in crew.status()["guards"] if guard["name"] == "watchdog")
    return age is not None and time.time() - age > moment + 2.0


def summarise(report: Report, seconds: float) -> None:
    """Print what was claimed and found."""
    told = report.as_json()
    sys.stdout.write(f"\n{report.robots} robots, {told['heartbeats']['sent']:,} heartbeats, {seconds:.0f} s\n")
    for claim in report.claims:
        sys.stdout.write(f"  {'held  ' if claim.held else 'FAILED'}  {claim.sentence}: {claim.found}\n")
    for rollback in told["rollbacks"]:
        budget = f"{rollback['budget_seconds']:.0f} s" if rollback["budget_seconds"] else "none"
        took = f"{rollback['seconds']:.2f} s" if rollback["seconds"] is not None else "not confirmed"
        sys.stdout.write(
            f"  rollback {rollback['from']} → {rollback['to']} %, {rollback['trigger']}: {took} (promised {budget})\n"
        )
    sys.stdout.write("Every claim held.\n" if report.ok else "NOT every claim held.\n")


if __name__ == "__main__":
    sys.exit(main())
