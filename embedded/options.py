"""The arguments of `bin/demo`."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
MOST_ROBOTS = 20_000


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `data` is None for a fresh temporary directory (the autopilot's)."""

    data: Path | None
    reset: bool
    robots: int
    with_fleet: bool
    autopilot: bool
    report: Path | None
    #: share of the robots that speak v2, 0 to 1
    v2_share: float = 0.2
    #: the autopilot has latency judged mildly, on a machine that carries other work as well
    mild_latency: bool = False
    #: Prometheus and Alertmanager as well, which have to be installed
    with_monitoring: bool = False


class _OneSentence(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"demo: {message} (bin/demo --help lists what it takes)", file=sys.stderr)
        sys.exit(2)


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """Return the options; exit 2 with one sentence for arguments that make no sense."""
    parser = _OneSentence(prog="bin/demo", description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, metavar="DIR", help="where everything lives (STATE_DIR; var/demo)")
    parser.add_argument("--reset", action="store_true", help="forget all data and start afresh")
    parser.add_argument("--robots", type=_robots, default=200, metavar="N", help="half lekiwi, half xle (200)")
    parser.add_argument("--v2-share", type=_share, default=0.2, metavar="S", help="share of robots that speak v2 (0.2)")
    parser.add_argument("--no-fleet", action="store_true", help="no robots")
    parser.add_argument("--autopilot", action="store_true", help="run the whole migration, then stop")
    parser.add_argument("--report", type=Path, metavar="FILE", help="with --autopilot: what happened, as JSON")
    parser.add_argument(
        "--mild-latency", action="store_true", help="with --autopilot: judge latency mildly, on a busy machine"
    )
    parser.add_argument(
        "--with-monitoring", action="store_true", help="Prometheus and Alertmanager as well, where they are installed"
    )
    given = parser.parse_args(arguments)
    if given.mild_latency and not given.autopilot:
        parser.error("--mild-latency needs --autopilot")
    if given.report and not given.autopilot:
        parser.error("--report needs --autopilot")
    if given.report and not given.report.absolute().parent.is_dir():
        parser.error(f"--report {given.report}: there is no directory {given.report.absolute().parent}")
    if given.autopilot and given.no_fleet:
        parser.error("--autopilot moves robots, so it cannot go with --no-fleet")
    if given.autopilot and given.with_monitoring:
        parser.error("--autopilot sends alerts itself, so it cannot go with --with-monitoring")
    data = given.data
    if data is None and not given.autopilot:
        data = Path(environment.get("STATE_DIR") or ROOT / "var" / "demo")
    return Options(
        data=data.expanduser().absolute() if data else None,
        reset=given.reset,
        robots=given.robots,
        with_fleet=not given.no_fleet,
        autopilot=given.autopilot,
        report=given.report.absolute() if given.report else None,
        v2_share=given.v2_share,
        mild_latency=given.mild_latency,
        with_monitoring=given.with_monitoring,
    )


def _robots(told: str) -> int:
    if not told.isdecimal() or not 1 <= int(told) <= MOST_ROBOTS:
        raise argparse.ArgumentTypeError(f"{told!r} is no number of robots from 1 to {MOST_ROBOTS}")
    return int(told)


def _share(told: str) -> float:
    try:
        value = float(told)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{told!r} is not a share between 0 and 1")
    return value
