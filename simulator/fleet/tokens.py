"""The v2 robots' own tokens: got by enrolling once, kept beside the ledger for the fleet's next start."""

import asyncio
import json
import os
import random
from pathlib import Path

from lekiwi_heartbeat import words
from lekiwi_heartbeat.enrolling import enrolment, token_in
from lekiwi_heartbeat.retrying import Retry

from simulator.fleet.door import Door
from simulator.fleet.robot import Robot

PATIENCE_SECONDS = 5.0
AT_ONCE = 8


class Tokens:
    """Tokens by robot id. Without an enrolment token robots have none and need none."""

    def __init__(self, door: Door, enrolment_token: str | None, file: Path | None) -> None:
        self.door = door
        self.enrolment_token = enrolment_token
        self.file = file
        self._known: dict[str, str] = {}
        self._few = asyncio.Semaphore(AT_ONCE)
        if file is not None and file.exists():
            self._known = dict(json.loads(file.read_text()))

    def known(self, robot_id: str) -> str | None:
        """The token that this robot has got already."""
        return self._known.get(robot_id)

    async def of(self, robot: Robot, chance: random.Random, mouth: asyncio.Lock) -> str | None:
        """This robot's token, once it has one: tries until the system gives it. PermissionError: it will not.

        `mouth` is held while it asks: an id that has a token is refused without it, so no call without one may be on
        its way when the token is made.
        """
        if self.enrolment_token is None:
            return None
        retry = Retry(chance, 0.5, 15.0)
        while (token := self._known.get(robot.robot_id)) is None:
            async with self._few, mouth:
                token, status, hint = await self._enrol(robot)
            if token is not None:
                self._keep(robot.robot_id, token)
            elif status in (401, 403, 409, 422):
                raise PermissionError(f"{robot.robot_id} is not enrolled (HTTP {status})")
            else:
                retry.failed(asyncio.get_running_loop().time(), hint)
                await asyncio.sleep(max(0.0, retry.at - asyncio.get_running_loop().time()))
        return token

    async def _enrol(self, robot: Robot) -> tuple[str | None, int | None, float]:
        body = words.encode(enrolment(robot.robot_id, robot.kind, robot.site))
        head = (
            f"POST {words.V2_ENROL} HTTP/1.1\r\nHost: {self.door.host_header}\r\n"
            f"Authorization: Bearer {self.enrolment_token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        exchange = await self.door.exchange(head.encode() + body, PATIENCE_SECONDS)
        if not isinstance(exchange.outcome, int):
            return None, None, 0.0
        try:
            content = json.loads(exchange.body)
        except ValueError:
            content = None
        return token_in(exchange.outcome, content), exchange.outcome, exchange.retry_after_seconds or 0.0

    def _keep(self, robot_id: str, token: str) -> None:
        self._known[robot_id] = token
        if self.file is None:
            return
        new = self.file.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self._known, file)
        new.replace(self.file)
