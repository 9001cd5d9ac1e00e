"""`python -m benchmarks.overload`: does the robots' door make an overload worse by its own retries?

Two stand-ins serve a fixed number of requests a second, one after the other, and finish what nobody waits for any
more. Robots offer twice what they can. The door as it is shipped is compared with the same door without its retry
budget. Figures: calls that reached a system for each call of a robot (1 is no retry at all), and what robots got.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web

from benchmarks import reporting
from benchmarks.bodies import legacy_heartbeat
from embedded.envoy import TEMPLATE, Envoy
from embedded.ports import free_ports
from migration.drivers.route_file import RouteFile
from migration.rules.plans import RoutePlan

CAPACITY_PER_SECOND = 100
OFFERED_PER_SECOND = 2 * 2 * CAPACITY_PER_SECOND
ROBOTS = 1_000
#: a robot's own patience
PATIENCE_SECONDS = 5.0


class System:
    """A stand-in for a system: `per_second` calls, first come first served. `healthy` whatever it has to do."""

    def __init__(self, per_second: float) -> None:
        self._seconds = 1 / per_second
        self._free_at = 0.0
        self.calls = 0

    async def status(self, request: web.Request) -> web.Response:
        """A heartbeat, when its turn has come."""
        self.calls += 1
        now = time.perf_counter()
        self._free_at = max(now, self._free_at) + self._seconds
        # Shielded by nothing: a call that was given up has taken its turn all the same.
        await asyncio.sleep(self._free_at - now)
        return web.json_response({"status": "updated"})

    async def health(self, request: web.Request) -> web.Response:
        """Fine."""
        return web.json_response({"status": "healthy"})


class Outcome(msgspec.Struct):
    """What came of one scenario."""

    scenario: str
    door: str
    requests: int
    attempts_per_request: float
    answered: int
    p50_ms: float | None
    p99_ms: float | None


@contextlib.asynccontextmanager
async def serving(system: System, port: int) -> AsyncIterator[None]:
    """A stand-in on a port."""
    application = web.Application()
    application.add_routes([web.post("/api/robot/status", system.status), web.get("/health", system.health)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def door(template: Path, legacy: int, ingest: int) -> Iterator[str]:
    """The robots' door with half of the robots on each side, and no copies, which would be load of another sort."""
    with tempfile.TemporaryDirectory(prefix="lekiwi-overload-") as directory:
        state = Path(directory)
        robots, own, admin, site, live = free_ports(5)
        ports = {"ROBOTS_DOOR_PORT": robots, "OWN_DOOR_PORT": own, "ENVOY_ADMIN_PORT": admin, "SITE_PORT": site}
        RouteFile(state).initialise(RoutePlan("rollout_50", 50, shadow=False, failover_to_new=True, accept_v2=True))
        envoy = Envoy(state, template, {**ports, "LIVE_PORT": live, "LEGACY_PORT": legacy, "INGEST_PORT": ingest})
        envoy.start()
        try:
            yield envoy.robots_door_url
        finally:
            envoy.stop()


def without_budget(directory: Path) -> Path:
    """The shipped template with every retry allowed. Raises if it has no budget to take away."""
    config = json.dumps(_allow_all(json.loads(_quoted(TEMPLATE.read_text()))))
    path = directory / "without-budget.json"
    path.write_text(config)
    return path


def _quoted(text: str) -> str:
    """The template as JSON: its ports stand there without quotes."""
    for name in ("ROBOTS_DOOR", "OWN_DOOR", "ENVOY_ADMIN", "LEGACY", "INGEST", "SITE", "LIVE"):
        place = f"@{name}_PORT@"
        text = text.replace(f'"{place}"', place).replace(place, f'"{place}"')
    return text


def _allow_all(value: object) -> object:
    if isinstance(value, list):
        return [_allow_all(item) for item in value]
    if isinstance(value, dict):
        kept = {name: _allow_all(item) for name, item in value.items() if name != "retry_budget"}
        return {**kept, "max_retries": 10_000} if "retry_budget" in value else kept
    return value


async def offer(url: str, seconds: float) -> tuple[int, list[float]]:
    """Send `OFFERED_PER_SECOND`, whatever comes back; returns how many were sent and the seconds of those answered."""
    answered: list[float] = []
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call(number: int) -> None:
            began = time.perf_counter()
            body = legacy_heartbeat(number % ROBOTS)
            headers = {"x-robot-id": str(body["robot_id"])}
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(f"{url}/api/robot/status", json=body, headers=headers) as answer:
                    if answer.status == 200:
                        answered.append(time.perf_counter() - began)

        began = time.perf_counter()
        sent = int(OFFERED_PER_SECOND * seconds)
        async with asyncio.TaskGroup() as calls:
            for number in range(sent):
                await asyncio.sleep(max(0.0, began + number / OFFERED_PER_SECOND - time.perf_counter()))
                calls.create_task(call(number))
    return sent, answered


async def scenario(name: str, legacy_per_second: float, kind: str, template: Path, seconds: float) -> Outcome:
    """One run: `new` serves its capacity, legacy as many as is said."""
    legacy, new = System(legacy_per_second), System(CAPACITY_PER_SECOND)
    ports = free_ports(2)
    async with serving(legacy, ports[0]), serving(new, ports[1]):
        with door(template, *ports) as url:
            sent, answered = await offer(url, seconds)
    p50, p99 = reporting.quantile(answered, 0.5), reporting.quantile(answered, 0.99)
    return Outcome(
        name,
        kind,
        sent,
        round((legacy.calls + new.calls) / sent, 2),
        len(answered),
        p50 and round(p50 * 1000, 1),
        p99 and round(p99 * 1000, 1),
    )


async def measure(seconds: float) -> list[Outcome]:
    """All scenarios with both doors."""
    outcomes = []
    with tempfile.TemporaryDirectory() as directory:
        doors = {"as shipped": TEMPLATE, "no retry budget": without_budget(Path(directory))}
        for name, legacy in (("both at twice", CAPACITY_PER_SECOND), ("new at twice, legacy free", 100_000)):
            for kind, template in doors.items():
                outcomes.append(await scenario(name, legacy, kind, template, seconds))
    return outcomes


def main() -> int:
    """Measure, print, write."""
    parser = reporting.arguments(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=10, help="how long each run lasts")
    options = parser.parse_args()
    outcomes = asyncio.run(measure(options.seconds))
    print(reporting.machine())
    heading = ["scenario", "door", "requests", "attempts a request", "answered", "p50 ms", "p99 ms"]
    print(reporting.table([heading, *(list(msgspec.structs.astuple(outcome)) for outcome in outcomes)]))
    figures = {
        "offered_per_s": OFFERED_PER_SECOND,
        "capacity_per_s": 2 * CAPACITY_PER_SECOND,
        "attempts_per_request": outcomes[0].attempts_per_request,
        "attempts_per_request_without_budget": outcomes[1].attempts_per_request,
        "runs": msgspec.to_builtins(outcomes),
    }
    print("\n".join(f"{name}: {value}" for name, value in figures.items() if name != "runs"))
    reporting.write(figures, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
