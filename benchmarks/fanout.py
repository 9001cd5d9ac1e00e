"""What it costs to show a fleet to many: `python -m benchmarks.fanout [--json FILE] [--browsers N]`.

N browsers watch a fleet of which 1 % changes every second, through the live process as it runs in production; then all
of them lose their connection at once and come back; then the same without a pause between ticks, against the baseline
in the same run: a Channels consumer with `group_send` through Redis.
"""

import multiprocessing
import resource
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks import reporting
from benchmarks.browsers import Browsers
from benchmarks.fanout_world import changing, prepare, server, services

BROWSERS = 10_000
ROBOTS = 10_000
STEADY_SECONDS = 20.0
SATURATED_SECONDS = 10.0
#: the Redis layer has 100 connections, and a handshake that finds none fails; with 10,000 consumers its own reads
#: time out and close them, so the baseline has what it can hold
LAYER_TAKES_AT_ONCE = 50
LAYER_HOLDS = 1_000
#: nobody waits longer for a step of the benchmark
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Saturated:
    """Deliveries without a pause: to how many browsers, how many a second, how many of them a whole."""

    browsers: int
    per_s: float
    wholes: int


@dataclass(slots=True)
class Measured:
    """Everything the run measured."""

    delays: list[float] = field(default_factory=list)
    kib_per_connection: float = 0.0
    bytes_per_browser_s: float = 0.0
    cpu_share: float = 0.0
    wholes_in_steady: int = 0
    connect_all_s: float = 0.0
    reconnect_all_s: float = 0.0
    handshakes_again: int = 0
    saturated: dict[str, "Saturated"] = field(default_factory=dict)
    tick_ms: dict[str, float] = field(default_factory=dict)


def main() -> int:
    """Run it, print the table, write the JSON. 1 if somebody got no snapshot."""
    parser = reporting.arguments(__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--browsers", type=int, default=BROWSERS)
    parser.add_argument("--robots", type=int, default=ROBOTS)
    asked = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    measured = Measured()
    with services() as environment:
        cookie = prepare(asked.robots, environment)
        with changing(environment["DATABASE_URL"], asked.robots):
            watch(measured, asked.browsers, cookie, environment)
            saturate(measured, asked.browsers, cookie, environment)
    report(measured, asked.browsers, asked.robots, asked.json)
    return 0


class Crowd:
    """The browsers, in a process of their own: `do` names a function of this module that gets them."""

    def __init__(self, port: int, cookie: str) -> None:
        here, there = multiprocessing.get_context("fork").Pipe()
        self._pipe = here
        self._process = multiprocessing.get_context("fork").Process(target=_crowd, args=(there, port, cookie))
        self._process.start()

    def do(self, what: str, *arguments: Any) -> Any:
        """Let the browsers do something; returns what came of it."""
        self._pipe.send((what, arguments))
        done, result = self._pipe.recv()
        if not done:
            raise RuntimeError(result)
        return result

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


def _crowd(pipe: Connection, port: int, cookie: str) -> None:
    browsers = Browsers(("127.0.0.1", port), "/ws/views/?view=fleet", cookie)
    steps = {"connect": _connect, "reconnect": _reconnect, "receive": _receive, "retries": _retries}
    while True:
        what, arguments = pipe.recv()
        try:
            pipe.send((True, steps[what](browsers, *arguments)))
        except (ConnectionError, TimeoutError, OSError) as error:
            pipe.send((False, f"{what}: {error}"))


def _connect(browsers: Browsers, number: int, at_once: int = BROWSERS) -> float:
    """Connect, `at_once` at a time; returns the seconds until all have a snapshot."""
    began = time.monotonic()
    while number > 0:
        some = min(number, at_once)
        number -= some
        browsers.open(some)
        if not browsers.run(lambda: browsers.snapshots >= len(browsers), PATIENCE_SECONDS):
            raise TimeoutError(f"{browsers.snapshots} of {len(browsers)} browsers have a snapshot")
    return time.monotonic() - began


def _reconnect(browsers: Browsers, number: int) -> float:
    """Lose all connections and come back; returns the seconds from the loss until all have a snapshot."""
    began = time.monotonic()
    browsers.close()
    _connect(browsers, number)
    return time.monotonic() - began


def _retries(browsers: Browsers) -> int:
    """How many handshakes had to be begun again."""
    return browsers.retries


def _receive(browsers: Browsers, seconds: float) -> tuple[int, int, int, list[float], float]:
    """Receive for a while: frames, wholes, bytes, delays and how long it really was."""
    browsers.seen = type(browsers.seen)()
    began = time.monotonic()
    browsers.run(lambda: time.monotonic() - began >= seconds, PATIENCE_SECONDS)
    seen = browsers.seen
    return seen.frames, seen.wholes, seen.bytes, seen.delays, time.monotonic() - began


def watch(measured: Measured, number: int, cookie: str, environment: dict[str, str]) -> None:
    """The live process as it is: memory, delay, bytes, and everybody back at once."""
    with server(environment, "config.live:application") as (port, process), Crowd(port, cookie) as crowd:
        crowd.do("connect", 1)  # the fleet is read and one frame made: what follows is for the connections
        crowd.do("receive", 2.0)
        before = process.memory_info().rss
        measured.connect_all_s = crowd.do("connect", number - 1)
        crowd.do("receive", 3.0)
        measured.kib_per_connection = (process.memory_info().rss - before) / 1024 / (number - 1)
        used = sum(process.cpu_times()[:2])
        frames, measured.wholes_in_steady, received, measured.delays, lasted = crowd.do("receive", STEADY_SECONDS)
        measured.cpu_share = (sum(process.cpu_times()[:2]) - used) / lasted
        measured.bytes_per_browser_s = received / number / lasted
        measured.tick_ms = _ticks(port)
        say(f"connected in {measured.connect_all_s:.1f} s, {frames} frames in {lasted:.0f} s")
        measured.reconnect_all_s = crowd.do("reconnect", number)
        measured.handshakes_again = crowd.do("retries")
        say(f"all back in {measured.reconnect_all_s:.1f} s")


def say(sentence: str) -> None:
    """How far it is, beside the figures."""
    print(sentence, file=sys.stderr, flush=True)


def _ticks(port: int) -> dict[str, float]:
    """From the process's own metrics: the mean milliseconds of a tick's parts."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    lines = [line for line in lines if line.startswith("lekiwi_dashboard_tick")]
    values = {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
    found = {}
    for part in ("look", "hand_out"):
        label = f'{{part="{part}",view="fleet"}}'
        total, ticks = (values[f"lekiwi_dashboard_tick_seconds_{what}{label}"] for what in ("sum", "count"))
        found[part] = 1000 * total / ticks
    return found


def saturate(measured: Measured, number: int, cookie: str, environment: dict[str, str]) -> None:
    """Deliveries a second without a pause: ours, then `group_send` with frames of the same size."""
    crowds = (("saturated", number, number), ("group_send", min(number, LAYER_HOLDS), LAYER_TAKES_AT_ONCE))
    for application, watching, at_once in crowds:
        size = str(round(measured.bytes_per_browser_s))
        env = {**environment, "FRAME_BYTES": size, "BROWSERS": str(watching)}
        with server(env, f"benchmarks.fanout_apps:{application}") as (port, _), Crowd(port, cookie) as crowd:
            crowd.do("connect", watching, at_once)
            crowd.do("receive", 1.0)
            frames, wholes, _, _, lasted = crowd.do("receive", SATURATED_SECONDS)
            measured.saturated[application] = Saturated(watching, frames / lasted, wholes)
            say(
                f"{application}: {watching} browsers got {frames / lasted:,.0f} frames a second, {wholes} of them whole"
            )


def report(measured: Measured, browsers: int, robots: int, path: Path | None) -> None:
    """Print the table and write the JSON."""
    ours, baseline = measured.saturated["saturated"], measured.saturated["group_send"]
    figures = {
        "browsers": browsers,
        "robots": robots,
        "p50_s": _rounded(reporting.quantile(measured.delays, 0.5)),
        "p99_s": _rounded(reporting.quantile(measured.delays, 0.99)),
        "deliveries": len(measured.delays),
        "wholes_while_connected": measured.wholes_in_steady,
        "bytes_per_browser_s": round(measured.bytes_per_browser_s, 1),
        "kib_per_connection": round(measured.kib_per_connection, 1),
        "cores_used": round(measured.cpu_share, 3),
        "tick_look_ms": _rounded(measured.tick_ms.get("look")),
        "tick_hand_out_ms": _rounded(measured.tick_ms.get("hand_out")),
        "connect_all_s": round(measured.connect_all_s, 2),
        "reconnect_all_s": round(measured.reconnect_all_s, 2),
        "handshakes_again": measured.handshakes_again,
        "saturated_per_s": round(ours.per_s),
        "group_send_per_s": round(baseline.per_s),
        "group_send_browsers": baseline.browsers,
        "ratio_to_group_send": round(ours.per_s / baseline.per_s, 1),
    }
    print(reporting.machine())
    print(reporting.table([("figure", "value"), *figures.items()]))
    reporting.write(figures, path)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


if __name__ == "__main__":
    sys.exit(main())
