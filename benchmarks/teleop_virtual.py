"""The decisions alone, without database and network: a whole fleet in the time that Python needs."""

from benchmarks.teleop_scoring import Found, Score, score_robot
from benchmarks.teleop_world import Arrival, arrivals, scripts
from simulator.operating.script import Script
from teleop.following.fleet import Fleet
from teleop.following.log import Said
from teleop.rules.sessions import LOST_SECONDS
from teleop.rules.standing import Ending, Event, Step

TICK_SECONDS = 0.1
#: from the receipt to the commit
COMMIT_SECONDS = 0.02
#: legacy looks at one robot after the other, by SSH
LEGACY_LOOK_SECONDS = 1.0


def run(seed: int, robots: int, sessions: int, duration: float) -> Score:
    """Play one seed and judge it."""
    return play_some(seed, robots, sessions, duration, 0, 1)


def play_some(seed: int, robots: int, sessions: int, duration: float, chunk: int, chunks: int) -> Score:  # noqa: PLR0917 - for a pool
    """The same with every `chunks`th robot, from the `chunk`th on."""
    score = Score()
    for number, script in enumerate(scripts(seed, robots, sessions, duration)):
        if number % chunks == chunk:
            told = arrivals(seed, number, script, duration)
            play_one(score, script, told, duration, legacy_of(script, number, robots, duration))
    return score


def play_one(
    score: Score, script: Script, told: list[Arrival], duration: float, legacy: list[tuple[float, bool]]
) -> None:
    """One robot after the other: robots know nothing of each other."""
    fleet = Fleet()
    events: list[tuple[float, Event]] = []
    place, tick = 0, 0.0
    key = b"robot"
    live: list[tuple[float, str]] = []
    while tick < duration + 12:
        tick += TICK_SECONDS
        while place < len(told) and told[place].received + COMMIT_SECONDS <= tick:
            each = told[place]
            said = Said(key, "robot", each.received, each.received, each.run, each.document, "")
            events += [(tick, changed.event) for changed in fleet.hear(said)]
            place += 1
        if key in fleet.robots:
            events += [(tick, changed.event) for changed in fleet.pass_time(tick)]
            live.append((tick, fleet.robots[key].standing.state.value))
    score_robot(
        score,
        script,
        found=sessions_of(events),
        recorded=recorded(events),
        live=live,
        legacy=legacy,
        duration=duration,
    )


def sessions_of(events: list[tuple[float, Event]]) -> list[Found]:
    """Sessions as steps tell them; (when it was known, the step)."""
    found: dict[str, Found] = {}
    for known, event in events:
        one = found.get(event.session)
        match event.step:
            case Step.BEGAN:
                found[event.session] = Found(event.at, None, known, None, event.driver.value)
            case Step.LOST if one:
                one.end, one.end_known = event.at, known
            case Step.RESUMED | Step.RESTORED if one:
                one.end = one.end_known = None
            case Step.DRIVER_KNOWN if one:
                one.driver = event.driver.value
            case Step.ENDED if one:
                # known since it was lost, if it did not come back
                one.end, one.end_known = event.at, one.end_known or known
            case _:
                pass
    return list(found.values())


def recorded(events: list[tuple[float, Event]]) -> list[tuple[float, str]]:
    """The history of states as it stands when all is known: steps that were taken back are gone."""
    history: list[tuple[float, str]] = []
    for _, event in events:
        if event.step in (Step.JOINED, Step.LEFT, Step.CONTESTED, Step.DRIVER_KNOWN):
            continue
        # A session ends with its last command; that it was waited for is not undone by that.
        waited = event.ending in (Ending.COMMANDS_STOPPED, Ending.ROBOT_SILENT)
        since = event.at + LOST_SECONDS if waited else event.at
        while history and history[-1][0] >= since:
            history.pop()
        history.append((since, event.state.value))
    return history


def legacy_of(script: Script, number: int, robots: int, duration: float) -> list[tuple[float, bool]]:
    """What legacy would say: a look at the service whenever its turn comes."""
    said = [(0.0, False)]
    at = LEGACY_LOOK_SECONDS * (number + 1)
    while at < duration:
        said.append((at, script.host_since(at) is not None))
        at += LEGACY_LOOK_SECONDS * robots
    return said
