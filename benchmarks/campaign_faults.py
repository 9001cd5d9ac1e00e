"""The faults of a campaign. Each breaks something of a running system, lifts the cause, and says what people saw."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from benchmarks.campaign_world import World, where
from simulator.autopilot.chapters.corruption import WRONG, altered
from simulator.autopilot.crew import LEAD, SECOND

#: how long a cause lasts
HELD_SECONDS = 3.0
#: new is slow: it stands still this long, and runs so long in between. The door gives it a second.
STILL_SECONDS, RUNS_SECONDS = 0.4, 0.1
AHEAD_SECONDS = 10.0
DAMAGED_ROBOTS = 3
#: the watchdog's recorder looks every 15 s whether the state follows from the heartbeats
NOTICED_SECONDS = 45.0

#: breaks and lifts in the named phase, and returns a remark
Fault = Callable[[World, str], str]


def legacy_down(world: World, slug: str) -> str:
    """Legacy is killed, its memory with it, and started again."""
    world.stack.control.kill("legacy")
    time.sleep(HELD_SECONDS)
    world.stack.control.start("legacy")
    return {
        "preparation": "nobody else may answer yet",
        "decommission": "means nothing for robots: new owns all, legacy hears copies until it is off",
    }.get(slug, "")


def new_down(world: World, slug: str) -> str:
    """Ingest is killed, and started again."""
    world.stack.control.kill("ingest")
    time.sleep(HELD_SECONDS)
    world.start_ingest()
    return "new is not in play yet" if slug == "preparation" else ""


def new_slow(world: World, slug: str) -> str:
    """Ingest stands still again and again."""
    pid = world.stack.control.status()["processes"]["ingest"]["pid"]
    ends = time.monotonic() + HELD_SECONDS
    try:
        while time.monotonic() < ends:
            os.killpg(pid, signal.SIGSTOP)
            time.sleep(STILL_SECONDS)
            os.killpg(pid, signal.SIGCONT)
            time.sleep(RUNS_SECONDS)
    finally:
        os.killpg(pid, signal.SIGCONT)
    return f"{STILL_SECONDS / (STILL_SECONDS + RUNS_SECONDS):.0%} of the time still"


def wrong_data(world: World, slug: str) -> str:
    """Something deletes rows of robots and alters others, past the application, until somebody notices."""
    from heartbeat.models import Robot

    robots = Robot.objects.filter(last_seen_at__isnull=False)
    new_owns_some = slug not in ("preparation", "shadow")
    if new_owns_some:
        robots = robots.filter(last_side="new")
    damaged = sorted(robots.values_list("robot_id", flat=True))[: 2 * DAMAGED_ROBOTS]
    with altered(world.stack.environment["DATABASE_URL"], damaged[DAMAGED_ROBOTS:]):
        Robot.objects.filter(robot_id__in=damaged[:DAMAGED_ROBOTS]).delete()
        noticed = (lambda: where()[1]) if new_owns_some else (lambda: _differing(damaged))
        try:
            world.until(noticed, "nobody noticed that data are wrong", NOTICED_SECONDS)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {_what_was_known(damaged)}") from error
    if new_owns_some:
        return "rolled back by the watchdog, restored from the log"
    return "named by the comparison, mended by a person"


def _what_was_known(robots: Sequence[str]) -> str:
    """How far the damage and its finding got, for whoever asks why nothing moved."""
    from heartbeat.models import Robot
    from migration import restoring
    from migration.models import Alert, Pulse

    there = Robot.objects.filter(robot_id__in=robots)
    check = Pulse.objects.filter(name="state_check").first()
    checked = f"checked at {check.at:%H:%M:%S}: {check.detail}" if check else "never checked"
    alerts = list(Alert.objects.filter(closed_at=None).values_list("sentence", flat=True))
    return (
        f"of {len(robots)} damaged {there.count()} are there, {there.filter(status=WRONG).count()} altered, "
        f"{there.filter(last_side='new').count()} owned by new; {checked}; "
        f"a check now says {restoring.corruption()!r}; alerts: {alerts}"
    )


def _differing(robots: Sequence[str]) -> bool:
    """Whether a comparison confirmed that some of these robots have another status."""
    from migration import comparing

    found = comparing.compare()
    return bool(found) and any(
        row["robot_id"] in robots and row["field"] == "status" for row in (found.different if found else [])
    )


def redis_gone(world: World, slug: str) -> str:
    """Redis is killed, and started again."""
    world.stack.control.kill("redis")
    time.sleep(HELD_SECONDS)
    world.stack.control.start("redis")
    return ""


def worker_killed(world: World, slug: str) -> str:
    """The worker is killed while it applies a shift into the next phase, or a pin where there is none."""
    from migration import advancing, pinning, shifting
    from migration.actors import Actor
    from migration.models import TrafficShift
    from migration.rules.phases import next_phase, phase_of

    actor, following = Actor("benchmark"), next_phase(phase_of(slug))
    if following is None:
        shift = pinning.pin("campaign-robot", "legacy", actor=actor, reason="benchmark")
    else:
        shift = shifting.request(following, actor=actor, reason="benchmark")
        advancing.enqueue(shift)

    def state() -> str:
        return TrafficShift.objects.values_list("state", flat=True).get(pk=shift.pk)

    world.until(lambda: state() != TrafficShift.State.REQUESTED, "no worker took the shift")
    found = state()
    world.stack.control.signal("worker", signal.SIGKILL)
    world.until(lambda: state() not in TrafficShift.WAITING, "the shift was never settled")
    return f"killed while the shift was {found}; it ended {state()}"


def two_operators(world: World, slug: str) -> str:
    """Two people do the same at once: one rolls back, the other too; before there is a way back, they pin robots."""
    from migration.rules.phases import phase_of

    back = phase_of(slug).rolls_back_to
    if back is None:
        answers = _at_once(world, "pins", {"robot_id": "campaign-robot", "side": "legacy", "reason": "benchmark"})
    else:
        answers = _at_once(world, "rollbacks", {"target": "previous", "leaving": slug, "reason": "benchmark"})
    codes = sorted(answer.status_code for answer in answers)
    # Two who roll back within the same instant both do, to the same phase; a pin is given to one of them.
    if codes not in ([202, 409], [201, 409], [201, 201]) or where()[0] != (back or slug):
        raise RuntimeError(f"{where()[0]} after {', '.join(f'{a.status_code} {a.text[:200]}' for a in answers)}")
    return f"two {'rollbacks' if back else 'pins'} at once: answered {codes[0]} and {codes[1]}, one move"


def _at_once(world: World, call: str, body: Mapping[str, str]) -> list[httpx.Response]:
    with ThreadPoolExecutor(2) as both:
        asked = [
            both.submit(world.crew.clients[login].post, f"/api/v2/migration/{call}", json=body)
            for login in (LEAD, SECOND)
        ]
        return [each.result() for each in asked]


def clock_jump(world: World, slug: str) -> str:
    """Ingest's clock jumps ahead, and back."""
    world.set_clock_ahead(AHEAD_SECONDS)
    time.sleep(HELD_SECONDS)
    world.set_clock_ahead(0)
    return f"{AHEAD_SECONDS:.0f} s ahead and back"


def postgres_restarted(world: World, slug: str) -> str:
    """PostgreSQL is told to restart; what was under way is cut off."""
    world.stack.control.restart("postgres")
    return ""


FAULTS: Mapping[str, Fault] = {
    "legacy-down": legacy_down,
    "new-down": new_down,
    "new-slow": new_slow,
    "redis-gone": redis_gone,
    "worker-killed": worker_killed,
    "two-operators": two_operators,
    "clock-jump": clock_jump,
    "postgres-restarted": postgres_restarted,
    "wrong-data": wrong_data,
}
