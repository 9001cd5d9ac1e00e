"""`python -m simulator.legacy`: the legacy server as one process with its state in memory."""

import argparse
import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from simulator.legacy.app import build_app
from simulator.legacy.control import Controlled, Faults
from simulator.legacy.demo import demo_deployments
from simulator.legacy.dirty import dirty_rows
from simulator.legacy.rounds import TeleopPolling, mark_offline
from simulator.legacy.state import LegacyState


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; unknown arguments exit 2 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m simulator.legacy", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one; the address is printed")
    parser.add_argument("--deployments", type=Path, help="JSON file; made with demo releases when it is missing")
    parser.add_argument("--packages", type=Path, help="directory of the demo releases' packages")
    parser.add_argument("--delay-seconds", type=float, default=0.0, help="wait before each answer")
    parser.add_argument("--error-rate", type=float, default=0.0, help="share of answers that are 500, 0 to 1")
    parser.add_argument("--dirty", action="store_true", help="start with bad rows as they occur in the field")
    parser.add_argument("--offline-after-seconds", type=float, default=300.0)
    parser.add_argument("--offline-check-seconds", type=float, default=30.0)
    parser.add_argument("--contract", choices=["current", "older"], default="current", help="what operators may call")
    parser.add_argument("--look-seconds", type=float, default=2.0, help="how long one look over SSH takes")
    arguments = parser.parse_args(argv)
    try:
        arguments.faults = Faults(arguments.delay_seconds, arguments.error_rate)
    except ValueError as error:
        parser.error(str(error))
    return arguments


def open_state(arguments: argparse.Namespace) -> LegacyState:
    """The state at start: deployments from the file (made when missing), robots unknown or, with --dirty, bad."""
    state = LegacyState(file=arguments.deployments)
    if state.file is not None and state.file.exists():
        state.load()
    elif state.file is not None:
        packages = arguments.packages or state.file.parent / "packages"
        state.replace(demo_deployments(packages), {})
    if arguments.dirty:
        state.robots.update(dirty_rows(state.now()))
    return state


def listening_socket(host: str, port: int) -> socket.socket:
    """A listening socket: whoever reads the printed address can connect at once, before the server accepts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    bound.listen(2048)
    return bound


def build(arguments: argparse.Namespace, state: LegacyState) -> Controlled:
    """The application with its rounds running while it serves."""
    polling = TeleopPolling(state, arguments.look_seconds)

    @contextlib.asynccontextmanager
    async def rounds(_: FastAPI) -> AsyncIterator[None]:
        offline = mark_offline(state, arguments.offline_check_seconds, arguments.offline_after_seconds)
        tasks = [asyncio.create_task(offline), asyncio.create_task(polling.run())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    app = build_app(state, polling, contract=arguments.contract)
    app.router.lifespan_context = rounds
    return Controlled(app, state, polling, arguments.faults)


def main() -> int:
    """Serve until told to stop. Exit 2 when the port or the deployments file cannot be used."""
    arguments = parse_arguments()
    try:
        state = open_state(arguments)
        bound = listening_socket(arguments.host, arguments.port)
    except json.JSONDecodeError as error:
        print(f"legacy: {arguments.deployments} is not JSON: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"legacy: cannot use {error.filename or f'port {arguments.port}'}: {error.strerror}", file=sys.stderr)
        return 2
    host, port = bound.getsockname()[:2]
    print(f"legacy listening on http://{host}:{port}", flush=True)
    # A proxy reuses connections; uvicorn's 5 s of patience would close them under its hands.
    config = uvicorn.Config(
        build(arguments, state),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[bound])
    return 0


if __name__ == "__main__":
    sys.exit(main())
