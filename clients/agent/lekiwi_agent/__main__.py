"""`python -m lekiwi_agent --url … --robot-id … --kind lekiwi`: report who operates this robot, and touch nothing."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

from lekiwi_heartbeat import Heartbeat, Refused
from lekiwi_heartbeat.__main__ import token_of
from lekiwi_heartbeat.readings import read_machine

from lekiwi_agent.agent import Agent
from lekiwi_agent.layouts import layout_for
from lekiwi_agent.sending import Sender

log = logging.getLogger("lekiwi_agent")

#: between the two looks of --show, so that rates are known
SHOW_SECONDS = 1.0


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; what makes no sense exits 2 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m lekiwi_agent", description=__doc__)
    parser.add_argument("--url", help="the robots' door, as https://fleet.example.org")
    parser.add_argument("--robot-id")
    parser.add_argument("--kind", required=True, help="lekiwi, xle, or another that --layouts names")
    parser.add_argument("--site", default="")
    parser.add_argument("--layouts", type=Path, help="ports and programs of your robots, as TOML")
    parser.add_argument("--token", default=os.environ.get("LEKIWI_TOKEN"), help="or in LEKIWI_TOKEN: `ps` shows this")
    parser.add_argument("--token-file", type=Path, help="where the token is, or is put by --enrolment-token")
    parser.add_argument("--enrolment-token", default=os.environ.get("LEKIWI_ENROLMENT_TOKEN"), help="lke_…, used once")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between reports when nothing happens (5)")
    parser.add_argument(
        "--only", choices=["heartbeats", "signals"], help="signals: the robot's own program sends beats"
    )
    parser.add_argument("--show", action="store_true", help="print one report and what cannot be seen; send nothing")
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args(argv)
    if not given.interval > 0:
        parser.error("--interval is greater than 0")
    if not given.show and not (given.url and given.robot_id):
        parser.error("--url and --robot-id are needed to send (or --show, which sends nothing)")
    if given.enrolment_token and not given.token_file:
        parser.error("--enrolment-token needs --token-file: the token is shown only once")
    return given


def main(argv: list[str] | None = None) -> int:
    """Report until told to stop."""
    given = arguments(argv)
    logging.basicConfig(level=logging.DEBUG if given.verbose else logging.INFO, format="%(levelname)s %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        layout = layout_for(given.kind, given.site, given.layouts)
        if given.show:
            return show(Agent(layout), stopping)
        token = token_of(given)
        about = {"kind": given.kind, **({"site": given.site} if given.site else {})}
        return report(given, token, about, layout, stopping)
    except (OSError, Refused, ValueError) as error:
        print(f"lekiwi_agent: {error}", file=sys.stderr)
        return 2


def show(agent: Agent, stopping: threading.Event) -> int:
    """Print what would be told."""
    looking = threading.Thread(target=agent.run, args=(stopping,))
    looking.start()
    stopping.wait(SHOW_SECONDS)
    print(json.dumps(agent.heartbeat(), indent=1, ensure_ascii=False))
    stopping.set()
    looking.join()
    return 0


def report(
    given: argparse.Namespace, token: str | None, about: dict[str, str], layout: Any, stopping: threading.Event
) -> int:
    """Send heartbeats, signals, or both, until `stopping` is set."""
    heartbeats: Heartbeat | None = None
    sender: Sender | None = None
    boot_id = str(uuid.uuid4())

    def read() -> dict[str, Any]:
        return {**read_machine(), **agent.heartbeat()}

    if given.only != "signals":
        heartbeats = Heartbeat(given.url, given.robot_id, token=token, interval=given.interval, read=read, about=about)
        boot_id = heartbeats.boot_id
    if given.only != "heartbeats":
        sender = Sender(given.url, given.robot_id, token, boot_id)
    agent = Agent(layout, tell=sender.send if sender else lambda said: None, report_seconds=given.interval)
    agent.look()
    for each in (heartbeats, sender):
        if each is not None:
            each.start()
    try:
        agent.run(stopping)
    finally:
        for each in (heartbeats, sender):
            if each is not None:
                each.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
