"""What `benchmarks.sync` measures with: rows for legacy, changes that one system alone hears, and what both hold."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from embedded.stack import Stack

CHANGES_PER_SECOND = 20
BASELINE_ROWS = 300
LOOKS_SECONDS = 0.05
PATIENCE_SECONDS = 60.0
#: the whole run ends within this, whatever does not come true
MOST_SECONDS = 280.0
_began = time.monotonic()


@dataclass(slots=True)
class Said:
    """Changes that one system was told, and how long each took to the other one, seconds."""

    lags: list[float] = field(default_factory=list)
    not_seen: int = 0


#: of the robots that wait (id → message): when each that has arrived did so, as `time.time()` says it
Arrived = Callable[[Mapping[str, str]], dict[str, float]]


def robot_id(number: int) -> str:
    """A robot's id."""
    return f"{'XLE' if number % 5 == 0 else 'Lekiwi'}_{number:08X}"


def fill(stack: Stack, robots: int) -> None:
    """Let legacy hold this many rows, all heard within the last seconds."""
    now = datetime.now()
    rows = {}
    for number in range(robots):
        seen = (now - timedelta(seconds=5 + number % 5)).isoformat()
        health = {"services": {"teleop": "active" if number % 3 else "inactive", "lekiwi": "active"}, "timestamp": seen}
        said = {"robot_id": robot_id(number), "deployment_id": None, "version": "v1.2.0", "status": "idle"}
        rows[robot_id(number)] = {**said, "message": None, "health": health, "last_seen": seen}
    with httpx.Client(base_url=stack.url("LEGACY_PORT"), timeout=60) as client:
        deployments = client.get("/_sim/state").json()["deployments"]
        client.put("/_sim/state", json={"robots": rows, "deployments": deployments}).raise_for_status()


def lost(stack: Stack) -> int:
    """Rows of legacy's that `new` does not hold, or holds differently, to the last field."""
    from heartbeat.rules.identity import row_key_of
    from heartbeat.taking_over import held_rows

    listed = httpx.get(f"{stack.url('LEGACY_PORT')}/api/robots", timeout=60).json()
    held = held_rows([row_key_of(row["robot_id"]) for row in listed])
    return sum(1 for row in listed if (found := held.get(row_key_of(row["robot_id"]))) is None or found.row != row)


def one_by_one(stack: Stack, robots: int) -> float:
    """Seconds that copying all rows takes when each is read and written alone, from BASELINE_ROWS of them."""
    from heartbeat.models import LegacyRow
    from heartbeat.rules.identity import row_key_of

    rows = min(BASELINE_ROWS, robots)
    with httpx.Client(base_url=stack.url("LEGACY_PORT"), timeout=10) as legacy:
        began = time.monotonic()
        for number in range(rows):
            row = legacy.get(f"/api/robots/{robot_id(number)}").json()
            LegacyRow.objects.update_or_create(key=row_key_of(row["robot_id"]), defaults={"status": row["status"]})
    return (time.monotonic() - began) * robots / rows


def looked() -> None:
    """Wait until sync has looked both ways, after now, and nothing is pending."""
    from migration.models import SyncState

    began = datetime.now(UTC)

    def sync_has_looked_and_nothing_is_pending() -> bool:
        state = SyncState.objects.first()
        if state is None or state.legacy_read_at is None or state.legacy_read_at <= began:
            return False
        return not state.pending_back and not state.pending_forward

    until(sync_has_looked_and_nothing_is_pending)


def changes(
    stack: Stack, robots: int, count: int, *, hears: str, arrived: Arrived, halfway: Callable[[], None] | None = None
) -> Said:
    """Say `count` new things to one system, at a steady rate, and time until the other one has each.

    `halfway` is done beside it when half of them are said.
    """
    said, waiting = Said(), dict[str, tuple[float, str]]()
    chosen = random.sample(range(robots), count)
    beside = threading.Thread(target=halfway) if halfway else None
    began = time.monotonic()
    # as the door marks what it passes on; legacy reads no marks
    with httpx.Client(base_url=stack.url(hears), timeout=10, headers={"x-side": "new"}) as client:
        while chosen or waiting:
            while chosen and time.monotonic() >= began + (count - len(chosen)) / CHANGES_PER_SECOND:
                who, message = robot_id(chosen.pop()), f"{hears} {random.random()}"
                body = {"robot_id": who, "status": "idle", "version": "v1.2.0", "message": message}
                waiting[who] = (time.time(), message)
                client.post("/api/robot/status", json=body).raise_for_status()
            if beside and beside.ident is None and len(chosen) <= count // 2:
                beside.start()
            for who, at in arrived({who: message for who, (_, message) in waiting.items()}).items():
                said.lags.append(at - waiting.pop(who)[0])
            if time.monotonic() - began > _left():
                said.not_seen = len(waiting) + len(chosen)
                break
            time.sleep(LOOKS_SECONDS)
    if beside:
        beside.join()
    return said


def at_new() -> Arrived:
    """`new` is asked for all that wait at once: what it has, it has by now."""
    from heartbeat.models import Robot
    from heartbeat.rules.identity import key_of

    def ask(waiting: Mapping[str, str]) -> dict[str, float]:
        keys = [key_of(who) for who in waiting]
        found = Robot.objects.filter(key__in=keys).values_list("robot_id", "message")
        return {who: time.time() for who, message in found if waiting.get(who) == message}

    return ask


def at_legacy(stack: Stack) -> Arrived:
    """Legacy is asked seldom, because it answers one call after the other: its own stamp says when it was told."""
    client = httpx.Client(base_url=stack.url("LEGACY_PORT"), timeout=10)
    asked_at = 0.0

    def ask(waiting: Mapping[str, str]) -> dict[str, float]:
        nonlocal asked_at
        if time.monotonic() - asked_at < 10 * LOOKS_SECONDS:
            return {}
        found = {}
        for who, message in waiting.items():
            row = client.get(f"/api/robots/{who}").json()
            if row.get("message") == message:
                found[who] = datetime.fromisoformat(row["last_seen"]).timestamp()
        asked_at = time.monotonic()
        return found

    return ask


def until(holds: Callable[[], bool]) -> None:
    """Ask until it is true. Raises `TimeoutError`."""
    deadline = time.monotonic() + _left()
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{holds.__name__} did not come true in time")
        time.sleep(0.1)


def _left() -> float:
    return min(PATIENCE_SECONDS, _began + MOST_SECONDS - time.monotonic())
