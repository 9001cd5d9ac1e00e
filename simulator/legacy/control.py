"""The simulator's own controls, outside the contract: faults and state, under `/_sim/`."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from simulator.legacy.rounds import TeleopPolling
from simulator.legacy.state import LegacyState

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Faults:
    """How sick the server is: each call waits `delay_seconds`, a share `error_rate` (0–1) is answered with 500."""

    delay_seconds: float = 0.0
    error_rate: float = 0.0

    def __post_init__(self) -> None:
        if self.delay_seconds < 0:
            raise ValueError("delay_seconds is a number of seconds, 0 or more")
        if not 0 <= self.error_rate <= 1:
            raise ValueError("error_rate is a share between 0 and 1")

    def changed(self, wishes: dict[str, Any]) -> "Faults":
        """These faults with the named ones replaced; `ValueError` or `TypeError` says what is wrong."""
        return replace(self, **{name: float(value) for name, value in wishes.items()})


class Controlled:
    """Wraps the legacy application: answers `/_sim/…` itself, lets everything else through its faults."""

    def __init__(self, app: App, state: LegacyState, polling: TeleopPolling, faults: Faults) -> None:
        self.app = app
        self.state = state
        self.polling = polling
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].startswith("/_sim/"):
            await self._control(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        faults = self.faults
        if faults.delay_seconds:
            await asyncio.sleep(faults.delay_seconds)
        if faults.error_rate and random.random() < faults.error_rate:
            await _answer(send, 500, b"Internal Server Error", b"text/plain; charset=utf-8")
        else:
            await self.app(scope, receive, send)

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = f"{scope['method']} {scope['path']}"
        try:
            if call == "PUT /_sim/faults":
                self.faults = self.faults.changed(await _json_body(receive))
            elif call == "PUT /_sim/state":
                wish = await _json_body(receive)
                self.state.replace(wish.get("deployments", []), wish.get("robots", {}))
                self.polling.seen.clear()
            elif call not in ("GET /_sim/faults", "GET /_sim/state"):
                await _answer_json(send, 404, {"detail": f"no such control: {call}"})
                return
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            await _answer_json(send, 422, {"detail": f"{type(error).__name__}: {error}"})
            return
        await _answer_json(send, 200, asdict(self.faults) if call.endswith("faults") else self._snapshot())

    def _snapshot(self) -> dict[str, Any]:
        # Rows by their key: the contract never shows it, and a row made by check-update has no other name.
        return {
            "robots": self.state.robots,
            "deployments": list(self.state.deployments.values()),
            "teleop_seen": self.polling.seen,
        }


async def _json_body(receive: Receive) -> dict[str, Any]:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    parsed = json.loads(body)
    if not isinstance(parsed, dict):
        raise TypeError("the body must be a JSON object")
    return parsed


async def _answer_json(send: Send, status: int, content: object) -> None:
    await _answer(send, status, json.dumps(content).encode(), b"application/json")


async def _answer(send: Send, status: int, body: bytes, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
