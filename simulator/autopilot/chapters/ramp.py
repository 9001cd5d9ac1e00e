"""Into 25 % in steps: first a cohort by name, then 15, 20, 25 %, each with time to bake."""

from datetime import datetime
from itertools import pairwise
from typing import Any

from simulator.autopilot.flight import Flight, say

KIND = "xle"
BETWEEN = [15, 20]
BAKE_SECONDS = 4.0
CLIMB_SECONDS = 150.0
STEPS = [10, 15, 20, 25]


def plan_it(flight: Flight) -> None:
    """Set how 25 % is entered. A planned time is divided by the time scale, so it is multiplied here."""
    planned = BAKE_SECONDS * flight.crew.status()["phase"]["time_scale"]
    changes = {"ramp": BETWEEN, "cohorts": [f"kind={KIND}"], "bake_seconds": planned}
    flight.crew.configure("rollout_25", changes, "small steps, the big robots first")


def climb(flight: Flight) -> None:
    """Watch the ramp go up by itself, and judge its steps and who went over with the cohort."""
    crew = flight.crew
    said: set[str] = set()

    def arrived() -> dict[str, Any] | None:
        crew.watch()
        latest: dict[str, Any] = crew.read("/api/v2/migration/ramps")[0]
        what = latest["waits_for"].partition(":")[0]
        if what and what not in said:
            said.add(what)
            say(f"  the ramp waits: {latest['waits_for']}")
        return latest if latest["state"] != "running" else None

    ended = crew.until("the ramp has arrived", arrived, seconds=CLIMB_SECONDS, every=0.5)
    taken = [one for one in crew.shifts() if one["kind"] == "ramp" and one["state"] == "observed"]
    reached = [one["to_percent"] for one in taken]
    baked = [_at(after["applying_at"]) - _at(before["observed_at"]) for before, after in pairwise(taken)]
    least = min(baked, default=0.0)
    flight.claim(
        "25 % was entered in steps, each baked",
        reached == STEPS and least >= BAKE_SECONDS,
        f"{ended['state']}: {' → '.join(map(str, reached))} %, at least {least:.1f} s between two",
    )
    if len(taken) > 1:
        _judge_cohort(flight, _at(taken[0]["observed_at"]) + 1.0, _at(taken[1]["applying_at"]) - 0.5)


def _judge_cohort(flight: Flight, since: float, until: float) -> None:
    """While only the cohort had gone over: all of its robots on `new`, most of the others not."""
    sides: dict[bool, list[str]] = {True: [], False: []}
    for robot_id, by in flight.answered(since, until):
        sides[robot_id.lower().startswith(KIND)].append(by)
    members, others = sides[True], sides[False]
    over = others.count("new") / len(others) if others else 1.0
    # Where new does not answer in time legacy does, which the door counts as failover.
    went = members.count("new") / len(members) if members else 0.0
    flight.claim(
        f"{KIND} went over first, by name",
        went > 0.99 and over < 0.3,
        f"{members.count('new')} of their {len(members)} heartbeats by new, {over:.0%} of the others' {len(others)}",
    )


def _at(told: str) -> float:
    return datetime.fromisoformat(told).timestamp()
