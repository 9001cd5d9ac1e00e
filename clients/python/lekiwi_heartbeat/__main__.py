"""`python -m lekiwi_heartbeat --url … --robot-id …`: a heartbeat for a machine without a program of its own."""

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from lekiwi_heartbeat import Heartbeat, Refused, enrol
from lekiwi_heartbeat.readings import read_machine


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; what makes no sense exits 2 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m lekiwi_heartbeat", description=__doc__)
    parser.add_argument("--url", required=True, help="the robots' door, as https://fleet.example.org")
    parser.add_argument("--robot-id", required=True)
    parser.add_argument("--token", default=os.environ.get("LEKIWI_TOKEN"), help="or in LEKIWI_TOKEN: `ps` shows this")
    parser.add_argument("--token-file", type=Path, help="where the token is, or is put by --enrolment-token")
    parser.add_argument("--enrolment-token", default=os.environ.get("LEKIWI_ENROLMENT_TOKEN"), help="lke_…, used once")
    parser.add_argument("--interval", type=float, default=30.0, help="seconds between heartbeats (30)")
    parser.add_argument("--kind", help="lekiwi or xle")
    parser.add_argument("--site")
    parser.add_argument("--firmware")
    parser.add_argument("--once", action="store_true", help="one heartbeat; exit 0 only if it was acknowledged")
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args(argv)
    if not given.interval > 0:
        parser.error("--interval is greater than 0")
    if given.enrolment_token and not given.token_file:
        parser.error("--enrolment-token needs --token-file: the token is shown only once")
    return given


def token_of(given: argparse.Namespace) -> str | None:
    """The token from the file, from an enrolment, or as given. Raises OSError or Refused."""
    file: Path | None = given.token_file
    if file is None:
        token: str | None = given.token
        return token
    if not file.exists() and given.enrolment_token:
        token = enrol(given.url, given.enrolment_token, given.robot_id, kind=given.kind, site=given.site)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(token + "\n")
    return file.read_text().strip()


def main(argv: list[str] | None = None) -> int:
    """Send heartbeats until told to stop."""
    given = arguments(argv)
    logging.basicConfig(level=logging.DEBUG if given.verbose else logging.INFO, format="%(levelname)s %(message)s")
    about = {name: value for name in ("kind", "site", "firmware") if (value := getattr(given, name)) is not None}
    try:
        heartbeat = Heartbeat(
            given.url,
            given.robot_id,
            token=token_of(given),
            interval=given.interval,
            read=None if given.once else read_machine,
            about=about,
        )
    except (OSError, Refused, ValueError) as error:
        print(f"lekiwi_heartbeat: {error}", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with heartbeat:
        if given.once:
            heartbeat.beat(**read_machine())
            return 0 if heartbeat.flush(10.0) else 1
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
