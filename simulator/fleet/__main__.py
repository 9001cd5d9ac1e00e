"""`python -m simulator.fleet`: run a fleet of robots against a door until told to stop."""

import argparse
import asyncio
import os
import resource
import signal
import sys
from pathlib import Path

import uvloop

from simulator.fleet.door import Door
from simulator.fleet.faults import Burst, Faults, Vanishing, share
from simulator.fleet.fleet import Fleet
from simulator.fleet.robot import build_fleet
from simulator.fleet.tokens import Tokens
from simulator.ledger import LedgerWriter


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; unknown arguments exit 2 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m simulator.fleet", description=__doc__)
    parser.add_argument("--door", required=True, help="where robots call, as http://127.0.0.1:8080")
    parser.add_argument("--side", choices=("new", "legacy"), help="mark legacy calls as the door does: without a door")
    parser.add_argument("--robots", type=int, default=200)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between a robot's heartbeats")
    parser.add_argument("--ledger", type=Path, help="file to append the ledger to")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check-update-every", type=float, default=15.0, help="seconds")
    parser.add_argument("--update-share", type=share, default=0.1, help="robots that install what they are offered")
    parser.add_argument("--vanish", type=Vanishing.parse, action="append", default=[], metavar="N@T[+D]")
    parser.add_argument("--burst", type=Burst.parse, action="append", default=[], metavar="D@T")
    parser.add_argument("--slow-share", type=share, default=0.0, help="robots on a slow link")
    parser.add_argument("--duplicate-share", type=share, default=0.0, help="heartbeats that are sent twice")
    parser.add_argument("--reorder-share", type=share, default=0.0, help="heartbeats that the next one overtakes")
    parser.add_argument("--v2-share", type=share, default=0.0, help="robots that run the bundled v2 client")
    parser.add_argument(
        "--enrolment-token",
        default=os.environ.get("FLEET_ENROLMENT_TOKEN"),
        help="with which v2 robots get their own (lke_…; FLEET_ENROLMENT_TOKEN)",
    )
    parser.add_argument("--tokens", type=Path, help="file that keeps v2 robots' tokens (the ledger's name + .tokens)")
    arguments = parser.parse_args(argv)
    if arguments.robots < 1 or arguments.interval <= 0 or arguments.check_update_every <= 0:
        parser.error("--robots, --interval and --check-update-every are greater than 0")
    try:
        arguments.door = Door(arguments.door, arguments.side)
    except ValueError as error:
        parser.error(str(error))
    return arguments


async def run(arguments: argparse.Namespace, ledger: LedgerWriter) -> None:
    """Run the fleet until SIGTERM or SIGINT, then write and print the closing figures."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    robots = build_fleet(
        arguments.robots, arguments.seed, arguments.interval, arguments.update_share, arguments.slow_share
    )
    faults = Faults(arguments.duplicate_share, arguments.reorder_share, tuple(arguments.vanish), tuple(arguments.burst))
    fleet = Fleet(
        robots,
        arguments.door,
        ledger,
        faults,
        arguments.check_update_every,
        arguments.seed,
        round(arguments.v2_share * len(robots)),
        Tokens(arguments.door, arguments.enrolment_token, token_file(arguments)),
    )
    figures = await fleet.run(stop)
    ledger.summary(figures)
    print(f"fleet: stopped; {figures}", flush=True)


def token_file(arguments: argparse.Namespace) -> Path | None:
    """Where tokens are kept, if anywhere."""
    beside = arguments.ledger.with_name(arguments.ledger.name + ".tokens") if arguments.ledger else None
    return arguments.tokens or beside


def allow_many_connections() -> None:
    """A door that hangs holds one connection per robot: take as many files as the system grants."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> int:
    """Run; exit 2 when the ledger cannot be written."""
    arguments = parse_arguments()
    allow_many_connections()
    try:
        ledger = LedgerWriter(arguments.ledger)
    except OSError as error:
        print(f"fleet: cannot write the ledger {arguments.ledger}: {error.strerror}", file=sys.stderr)
        return 2
    try:
        uvloop.run(run(arguments, ledger))
    finally:
        ledger.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
