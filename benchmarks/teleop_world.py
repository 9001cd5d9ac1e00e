"""A fleet's operators by script, and when what their robots report arrives: delays, bursts, and all from one seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simulator.operating.script import Script, write_script
from simulator.operating.sensing import LOOK_SECONDS, Sensing


@dataclass(frozen=True, slots=True)
class Arrival:
    """A report, when it left and when it is received; `run` names the robot's present run."""

    received: float
    robot: int
    run: str
    document: dict[str, Any]


def scripts(seed: int, robots: int, sessions: int, duration: float) -> list[Script]:
    """`robots` scripts that hold `sessions` sessions together; two at most on one robot."""
    chance = random.Random(f"{seed}/scripts")
    operators = [f"operator-{number:03d}" for number in range(max(4, sessions // 6))]
    wanted = [0] * robots
    written: list[Script] = []
    for place in chance.sample(range(robots), min(robots, sessions)):
        wanted[place] = 1 + (chance.random() < 0.25)
    left = sessions
    for number in range(robots):
        own = random.Random(f"{seed}/{number}")
        script = write_script(own, duration, min(wanted[number], left), operators)
        left -= len(script.sessions)
        written.append(script)
    return written


def reports(seed: int, number: int, script: Script, duration: float) -> Iterator[tuple[float, str, dict[str, Any]]]:
    """(when it is sent, the run, the document) of one robot: a look every LOOK_SECONDS, a report when it is due."""
    chance = random.Random(f"{seed}/{number}/senses")
    sensing, run = Sensing(script, chance, start=-chance.uniform(10, 1e6)), 0
    at, was_off = chance.uniform(0, LOOK_SECONDS), False
    while at < duration:
        off = any(begin <= at < end for begin, end in script.off)
        if was_off and not off:
            run += 1
            sensing = Sensing(script, chance, start=at - 3)
        was_off = off
        if not off and (document := sensing.look(at)) is not None:
            yield at, f"run-{run}", document
        at += LOOK_SECONDS * chance.uniform(0.9, 1.1)


def arrivals(seed: int, number: int, script: Script, duration: float) -> list[Arrival]:
    """The same as they are received: in order, late, and after an outage in a burst."""
    chance = random.Random(f"{seed}/{number}/network")
    found: list[Arrival] = []
    before = 0.0
    for sent, run, document in reports(seed, number, script, duration):
        delay = min(0.25, chance.lognormvariate(-4.2, 0.6))
        if chance.random() < 0.01:
            delay += chance.uniform(0.1, 0.35)
        free = next((end for begin, end in script.outages if begin <= sent < end), sent)
        before = max(before + 0.0005, free + delay)
        found.append(Arrival(before, number, run, document))
    return found
