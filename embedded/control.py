"""Remote control of a running supervisor: JSON lines over a Unix socket, and `python -m embedded.control`."""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from embedded.errors import StartError
from embedded.supervisor import Supervisor

COMMANDS = ("status", "stop", "kill", "start", "restart", "signal", "replace")


class ControlError(Exception):
    """The supervisor refused or could not be reached; the text says why."""


class Control:
    """A client for the control socket at `path`. Every call returns when what it asked for is done."""

    def __init__(self, path: Path | str, timeout_seconds: float = 90) -> None:
        self.path = str(path)
        self.timeout_seconds = timeout_seconds

    def status(self) -> dict[str, Any]:
        """Return {"up": everything was started, "processes": {name: {"pid", "ready", …}}, "environment": {…}}."""
        return self._ask("status")

    def stop(self, name: str) -> None:
        """Stop a process gracefully and leave it stopped."""
        self._ask("stop", name)

    def kill(self, name: str) -> None:
        """Kill a process with SIGKILL and leave it dead until `start`."""
        self._ask("kill", name)

    def start(self, name: str) -> None:
        """Run the normal program under `name` and wait until it is ready."""
        self._ask("start", name)

    def restart(self, name: str) -> None:
        """Stop and start the normal program."""
        self._ask("restart", name)

    def signal(self, name: str, wanted: signal.Signals | str) -> None:
        """Send a signal (SIGSTOP, "STOP", …) to a process and its group."""
        self._ask("signal", name, wanted.name if isinstance(wanted, signal.Signals) else wanted)

    def replace(self, name: str, argv: Sequence[str]) -> None:
        """Run `argv` under `name` in place of the normal program, until `start` or `restart`."""
        self._ask("replace", name, *argv)

    def _ask(self, command: str, *arguments: str) -> dict[str, Any]:
        request = json.dumps({"command": command, "arguments": arguments}) + "\n"
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(self.timeout_seconds)
                connection.connect(self.path)
                connection.sendall(request.encode())
                with connection.makefile("rb") as lines:
                    line = lines.readline()
        except OSError as error:
            raise ControlError(f"no demo answers at {self.path}: {error}") from error
        if not line:
            raise ControlError(f"the demo at {self.path} is stopping")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ControlError(answer["error"])
        return answer


class ControlServer:
    """Answers the control socket for one supervisor. `environment` is told to whoever may open the socket."""

    def __init__(self, path: Path, supervisor: Supervisor, environment: Mapping[str, str]) -> None:
        self.path = path
        self.environment = dict(environment)
        #: whether everything was started; before that some names are missing
        self.up = False
        self._supervisor = supervisor
        self._server: asyncio.Server | None = None
        # Two commands for the same process at once would each start one.
        self._one_at_a_time = asyncio.Lock()

    async def open(self) -> None:
        """Start to listen; only our own account can connect."""
        self.path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, path=str(self.path))
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Stop to listen."""
        if self._server:
            self._server.close()
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            return  # the client went away, or sent a line beyond the limit: nobody is left to tell
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            command, arguments = str(request["command"]), [str(each) for each in request.get("arguments", [])]
            if command == "status":
                told = {"up": self.up, "processes": self._supervisor.status()}
                return {**told, "environment": self.environment}
            async with self._one_at_a_time:
                await self._obey(command, arguments)
        except StartError as error:
            return {"error": str(error)}
        except (ValueError, KeyError, TypeError, IndexError, ProcessLookupError) as error:
            return {"error": f"not understood: {error!r}"}
        return {"done": command}

    async def _obey(self, command: str, arguments: list[str]) -> None:
        simple: dict[str, Callable[[str], Awaitable[None]]] = {
            "stop": self._supervisor.stop,
            "kill": self._supervisor.kill,
            "start": self._supervisor.start,
            "restart": self._supervisor.restart,
        }
        if command in simple and len(arguments) == 1:
            await simple[command](arguments[0])
        elif command == "signal" and len(arguments) == 2:
            self._supervisor.signal(arguments[0], _signal_named(arguments[1]))
        elif command == "replace" and len(arguments) >= 2:
            await self._supervisor.replace(arguments[0], arguments[1:])
        else:
            raise StartError(f"{command} {' '.join(arguments)}: unknown command or wrong number of arguments")


def _signal_named(name: str) -> signal.Signals:
    try:
        return signal.Signals[name if name.startswith("SIG") else f"SIG{name}"]
    except KeyError:
        raise StartError(f"there is no signal {name!r}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; exit code 1 with a sentence when it was refused."""
    parser = argparse.ArgumentParser(prog="python -m embedded.control", description="Control a running demo.")
    parser.add_argument("--socket", required=True, help="the control socket that the demo printed")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="NAME …")
    asked = parser.parse_args(arguments)
    control = Control(asked.socket)
    try:
        answer = control._ask(asked.command, *asked.arguments)
    except ControlError as error:
        print(error, file=sys.stderr)
        return 1
    if asked.command == "status":
        json.dump(answer, sys.stdout, indent=1)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
