"""A stand-in for the robots' door with both systems behind it, over real sockets: it speaks the wire protocol and can
be told to misbehave. Heartbeats end in a dictionary instead of PostgreSQL; everything else about it is honest.
"""

import asyncio
import contextlib
import json
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

UNAVAILABLE = {"detail": "v2 is refused for now; use the legacy call, POST /api/robot/status"}


class StandIn:
    """`v2` is "ok", "mute" (takes and never answers), or a status that every v2 call gets; `legacy` likewise."""

    def __init__(self) -> None:
        self.v2: str | int = "ok"
        self.sockets_allowed = True
        self.legacy: str | int = "ok"
        self.retry_after: str | None = None
        self.batches_known = True
        #: (boot_id, sequence) → the ways it came, in order
        self.stored: dict[tuple[str, int], list[str]] = {}
        self.order: list[int] = []
        self.bodies: dict[int, dict[str, Any]] = {}
        self.all_bodies: list[dict[str, Any]] = []
        self.legacy_bodies: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.tokens: set[str | None] = set()
        self.signals: list[dict[str, Any]] = []
        self.signal_bodies: list[dict[str, Any]] = []
        self.command_results: list[dict[str, Any]] = []
        self.open_sockets: list[web.WebSocketResponse] = []
        self._answering = asyncio.Lock()
        #: robot → the token without which its legacy calls are refused
        self.enrolled: dict[str, str] = {}
        self.url = ""
        self.poison: set[int] = set()
        self._loop = asyncio.new_event_loop()

    def say(self, frame: dict[str, Any]) -> None:
        """Send a frame to every open socket."""
        asyncio.run_coroutine_threadsafe(self._say(frame), self._loop).result(5)

    def hang_up(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        """Close every open socket with this code."""
        asyncio.run_coroutine_threadsafe(self._hang_up(code), self._loop).result(5)

    async def _say(self, frame: dict[str, Any]) -> None:
        for socket in self.open_sockets:
            await socket.send_json(frame)

    async def _hang_up(self, code: int) -> None:
        async with self._answering:  # between frames: one that was stored is acknowledged
            sockets, self.open_sockets = self.open_sockets, []
            for socket in sockets:
                await socket.close(code=code)

    def _store(self, beat: dict[str, Any], way: str) -> str:
        ways = self.stored.setdefault((beat["boot_id"], beat["sequence"]), [])
        ways.append(way)
        if len(ways) > 1:
            return "duplicate"
        self.order.append(beat["sequence"])
        self.bodies[beat["sequence"]] = beat
        self.all_bodies.append(beat)
        return "accepted"

    def _gate(self, request: web.Request) -> None:
        self.calls[f"{request.method} {request.path}"] += 1
        header = request.headers.get("authorization")
        self.tokens.add(header.removeprefix("Bearer ") if header else None)

    def _refusal(self, status: int) -> web.Response:
        headers = {"retry-after": self.retry_after} if self.retry_after else {}
        return web.json_response(UNAVAILABLE, status=status, headers=headers)

    async def _judge(self, request: web.Request, how: str | int) -> web.Response | None:
        self._gate(request)
        if how == "mute":
            await asyncio.sleep(60)
        return self._refusal(how) if isinstance(how, int) else None

    async def one(self, request: web.Request) -> web.Response:
        if refusal := await self._judge(request, self.v2):
            return refusal
        beat = await request.json()
        if beat["sequence"] in self.poison:
            return web.json_response({"errors": [{"field": "x", "reason": "poison"}]}, status=422)
        word = self._store(beat, "http")
        return web.json_response({"status": word, "robot_id": beat["robot_id"], "request_id": str(uuid.uuid4())})

    async def many(self, request: web.Request) -> web.Response:
        if not self.batches_known:
            return self._refusal(404)
        if refusal := await self._judge(request, self.v2):
            return refusal
        beats = await request.json()
        results = [
            {"status": "refused", "errors": [{"field": "x", "reason": "poison"}]}
            if beat["sequence"] in self.poison
            else {"status": self._store(beat, "batch")}
            for beat in beats
        ]
        return web.json_response({"results": results})

    async def teleop_signals(self, request: web.Request) -> web.Response:
        if refusal := await self._judge(request, self.v2):
            return refusal
        body = await request.json()
        self.signal_bodies.append(body)
        self.signals += body["signals"]
        return web.json_response({"status": "accepted", "signals": len(body["signals"])}, status=202)

    async def status(self, request: web.Request) -> web.Response:
        if refusal := await self._judge(request, self.legacy):
            return refusal
        body = await request.json()
        if (token := self.enrolled.get(body["robot_id"])) and request.headers.get("authorization") != f"Bearer {token}":
            return web.json_response({"detail": "this robot has a token"}, status=401)
        self.legacy_bodies.append(body)
        return web.json_response({"status": "updated"})

    async def check_update(self, request: web.Request) -> web.Response:
        self._gate(request)
        return web.json_response({"update_available": False})

    async def enrol(self, request: web.Request) -> web.Response:
        self._gate(request)
        if request.headers.get("authorization") != "Bearer lke_good":
            problem = {"title": "Not enrolled", "status": 401, "detail": "the enrolment token is not known"}
            return web.json_response(problem, status=401, content_type="application/problem+json")
        wish = await request.json()
        token = f"lkr_{wish['robot_id']}_{wish.get('kind')}_{wish.get('site')}"
        self.enrolled[wish["robot_id"]] = token
        return web.json_response({"robot_id": wish["robot_id"], "token": token}, status=201)

    async def socket(self, request: web.Request) -> web.StreamResponse:
        self._gate(request)
        if isinstance(self.v2, int):
            return self._refusal(self.v2)
        if not self.sockets_allowed:
            return self._refusal(404)
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        self.open_sockets.append(answer)
        await answer.send_json({"type": "hello", "robot_id": "r", "server_time": datetime.now(UTC).isoformat()})
        async for message in answer:
            async with self._answering:
                if answer not in self.open_sockets:
                    break
                if message.type == WSMsgType.TEXT:
                    await self._heard(answer, json.loads(message.data))
        return answer

    async def _heard(self, socket: web.WebSocketResponse, frame: dict[str, Any]) -> None:
        if frame.get("type") == "command_result":
            self.command_results.append(frame)
            return
        if self.v2 == "mute":
            return
        if frame.get("type") == "signals":
            self.calls["signals by socket"] += 1
            self.signal_bodies.append(frame)
            self.signals += frame["signals"]
            return
        if isinstance(self.v2, int):
            await socket.send_json({"type": "retry", "sequences": [frame["sequence"]], "retry_after_s": 1})
            return
        if frame["sequence"] in self.poison:
            errors = [{"field": "x", "reason": "poison"}]
            await socket.send_json({"type": "refused", "sequence": frame["sequence"], "status": 422, "errors": errors})
            return
        self._store(frame, "socket")
        await socket.send_json({"type": "ack", "boot_id": frame["boot_id"], "sequences": [frame["sequence"]]})

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=8 << 20)
        application.router.add_post("/api/v2/heartbeat", self.one)
        application.router.add_post("/api/v2/heartbeats", self.many)
        application.router.add_post("/api/v2/enrol", self.enrol)
        application.router.add_post("/api/v2/teleop/signals", self.teleop_signals)
        application.router.add_post("/api/robot/status", self.status)
        application.router.add_get("/api/check-update", self.check_update)
        application.router.add_get("/ws/robot/", self.socket)
        return application

    @contextlib.contextmanager
    def serving(self, port: int = 0) -> Iterator["StandIn"]:
        """Serve in a thread of its own."""
        runner = web.AppRunner(self._application(), handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        asyncio.run_coroutine_threadsafe(runner.setup(), self._loop).result(5)
        site = asyncio.run_coroutine_threadsafe(self._start(runner, port), self._loop).result(5)
        self.url = f"http://127.0.0.1:{site}"
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(5)
            self._loop.close()

    async def _start(self, runner: web.AppRunner, port: int) -> int:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        assert runner.addresses
        return int(runner.addresses[0][1])
