"""What happens to one robot's operator channel, as intervals of time: the truth that verdicts are judged against.

Times are seconds since the script's start. A session is a stretch of commands with pauses of at most PAUSE_SECONDS; it
ends with its last command, whatever anybody finds out later.
"""

import random
from dataclasses import dataclass, field, replace

#: the robot's watchdog stops the base without a command for this long
WATCHDOG_SECONDS = 0.5
#: commands that stay away for longer make another session
PAUSE_SECONDS = 10.0
HOST_RUNS_SECONDS = (30.0, 60.0, 120.0)
#: what a robot can tell of itself, and how many can
SENSES = ("full", "host", "kernel", "devices")
_SENSE_WEIGHTS = (0.4, 0.3, 0.2, 0.1)
_DRIVER_WEIGHTS = {"human": 0.6, "policy": 0.25, "replay": 0.15}
_ENDINGS = {"leaves": 0.5, "vanishes": 0.2, "host_time_over": 0.12, "host_dies": 0.06, "robot_dies": 0.12}
_KINDS = {"plain": 0.55, "pauses": 0.2, "handover": 0.12, "contested": 0.07, "roams": 0.06}


@dataclass(frozen=True, slots=True)
class Commands:
    """Commands that reach the robot without a gap its watchdog would notice."""

    begin: float
    end: float
    operator: str


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody is connected and may drive: from connecting to the close of the connection, as a robot sees it."""

    begin: float
    end: float
    operator: str
    #: until when it takes frames; its close may come much later
    reads_until: float = 1e12


@dataclass(slots=True)
class TrueSession:
    """One session as it was."""

    begin: float
    end: float
    driver: str
    operators: tuple[str, ...]
    ending: str
    contested: bool = False


@dataclass(slots=True)
class Script:
    """One robot. `outages`: nothing it sends gets out; `off`: it has no power, and starts anew after it."""

    sense: str
    declares_driver: bool
    hosts: list[tuple[float, float]] = field(default_factory=list)
    host_runs: dict[float, float] = field(default_factory=dict)
    commands: list[Commands] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    sessions: list[TrueSession] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)
    off: list[tuple[float, float]] = field(default_factory=list)

    def states(self, duration: float) -> list[tuple[float, str]]:
        """(since, state) in order: off, idle, host_ready, active, lost."""
        moments = {0.0}
        for begin, end in [*self.hosts, *self.off, *((each.begin, each.end) for each in self.commands)]:
            moments |= {begin, end}
        moments |= {each.end + PAUSE_SECONDS for each in self.sessions}
        found: list[tuple[float, str]] = []
        for moment in sorted(each for each in moments if each < duration):
            state = self.state_at(moment + 1e-6)
            if not found or found[-1][1] != state:
                found.append((moment, state))
        return found

    def state_at(self, at: float) -> str:
        """The state at one moment."""
        if _within(self.off, at):
            return "off"
        if any(each.begin <= at <= each.end for each in self.commands):
            return "active"
        for session in self.sessions:
            if session.begin <= at <= session.end:
                return "lost"
            if session.ending == "vanishes" and session.end < at <= session.end + PAUSE_SECONDS:
                return "lost"
        return "host_ready" if self.sense == "devices" or _within(self.hosts, at) else "idle"

    def host_since(self, at: float) -> float | None:
        """When the host that is up at `at` began."""
        return next((begin for begin, end in self.hosts if begin <= at < end), None)


def write_script(chance: random.Random, duration: float, sessions: int, operators: list[str]) -> Script:
    """A robot's script with as many sessions as fit, at most `sessions`."""
    sense = chance.choices(SENSES, _SENSE_WEIGHTS)[0]
    script = Script(sense, declares_driver=sense in ("full", "host") and chance.random() < 0.8)
    at = chance.uniform(0, 8)
    for _ in range(sessions):
        at = _session(script, chance, at + chance.uniform(1, 6), duration, operators)
        if at > duration - 20:
            break
    while at < duration - 5 and not sessions:
        at = _host_alone(script, chance, at)
    for _ in range(int(duration / 60) + 1):
        if chance.random() < 0.15:
            _roam(script, chance, chance.uniform(5, duration))
    return script


def _host_alone(script: Script, chance: random.Random, at: float) -> float:
    """A host that nobody uses: what legacy takes for an operator."""
    runs = chance.choice(HOST_RUNS_SECONDS)
    begin = at + chance.uniform(2, 25)
    script.hosts.append((begin, begin + runs))
    script.host_runs[begin] = runs
    return begin + runs


def _session(script: Script, chance: random.Random, at: float, duration: float, operators: list[str]) -> float:
    host_begin = at
    connect = host_begin + chance.uniform(1, 6)
    begin = connect + chance.uniform(0.3, 3)
    length = chance.uniform(4, 30)
    if begin + length > duration - PAUSE_SECONDS - 4:
        return duration
    driver = chance.choices(list(_DRIVER_WEIGHTS), list(_DRIVER_WEIGHTS.values()))[0]
    ending = chance.choices(list(_ENDINGS), list(_ENDINGS.values()))[0]
    kind = chance.choices(list(_KINDS), list(_KINDS.values()))[0]
    if script.sense == "devices":
        driver, kind = "human", "plain" if kind == "contested" else kind
        ending = "leaves" if ending.startswith("host") else ending
    first, second = chance.sample(operators, 2)
    end = begin + length
    pieces, visits = _pieces(chance, kind, begin, end, (first, second))
    if kind == "roams":
        middle = begin + length * chance.uniform(0.3, 0.6)
        silence = chance.uniform(0.8, 5.0)
        script.outages.append((middle, middle + silence))
        pieces = [Commands(begin, middle, first), Commands(middle + silence, end + silence, first)]
        end += silence
    closes = end if ending in ("leaves", "host_dies", "robot_dies") else end + PAUSE_SECONDS + 3
    script.commands += pieces
    visits[0] = replace(visits[0], begin=connect)
    visits[-1] = replace(visits[-1], end=closes + chance.uniform(0.02, 0.2))
    script.visits += visits
    names = tuple(dict.fromkeys(each.operator for each in pieces))
    script.sessions.append(TrueSession(begin, end, driver, names, ending, kind == "contested"))
    host_end = _host_end(chance, ending, end, closes)
    script.hosts.append((host_begin, host_end))
    script.host_runs[host_begin] = host_end - host_begin if ending == "host_time_over" else 3_600.0
    if ending == "robot_dies":
        back = end + chance.uniform(12, 25)
        script.off.append((end, back))
        return back
    return max(host_end, closes)


def _host_end(chance: random.Random, ending: str, end: float, closes: float) -> float:
    if ending in ("host_time_over", "host_dies", "robot_dies"):
        return end
    return closes + chance.uniform(1, 10)


def _pieces(
    chance: random.Random, kind: str, begin: float, end: float, who: tuple[str, str]
) -> tuple[list[Commands], list[Visit]]:
    first, second = who
    middle = begin + (end - begin) * chance.uniform(0.35, 0.65)
    if kind == "pauses":
        pause = min(chance.uniform(1.2, 6.0), (end - middle) / 2)
        return [Commands(begin, middle, first), Commands(middle + pause, end, first)], [Visit(begin, end, first)]
    if kind == "handover":
        # the next one commands before the watchdog notices that the first one does not
        gap = chance.uniform(0.05, 0.3)
        pieces = [Commands(begin, middle, first), Commands(middle + gap, end, second)]
        # the close of the old connection arrives half a minute late
        return pieces, [Visit(begin, middle + 30, first, middle), Visit(middle, end, second)]
    if kind == "contested":
        both = min(end, middle + chance.uniform(1.5, 4))
        pieces = [Commands(begin, both, first), Commands(middle, end, second)]
        return pieces, [Visit(begin, both, first), Visit(middle, end, second)]
    return [Commands(begin, end, first)], [Visit(begin, end, first)]


def _roam(script: Script, chance: random.Random, at: float) -> None:
    """Seconds without a network while nobody drives: with somebody it is a session that roams."""
    outage = (at, at + chance.uniform(0.5, 4.0))
    busy = [(each.begin - 2, each.end + PAUSE_SECONDS + 4) for each in script.sessions]
    if not any(begin < outage[1] and outage[0] < end for begin, end in busy):
        script.outages.append(outage)


def _within(intervals: list[tuple[float, float]], at: float) -> bool:
    return any(begin <= at < end for begin, end in intervals)
