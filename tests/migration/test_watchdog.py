import threading
import time

import pytest

from migration import routing, spool
from migration.rules.phases import phase_of
from migration.rules.watching import Action
from migration.watchdog import Look, Watchdog
from tests.migration.door import Door, wait_for
from tests.migration.installation import door, installation  # noqa: F401


class Traffic:
    """Robots that keep speaking until the block ends, and what they saw."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._speak, args=(worker,)) for worker in range(4)]
        self.statuses: list[int] = []

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _speak(self, worker: int) -> None:
        number = 0
        with self._door.robot() as robot:
            while not self._stop.is_set():
                number += 1
                self.statuses.append(robot.beat(f"robot-{worker}-{number % 50}").status)
                self._stop.wait(0.01)


def look_until(watchdog: Watchdog, action: Action, seconds: float = 15.0) -> Look:
    def looked() -> Look | None:
        look = watchdog.look()
        if look.decision.action is not action:
            time.sleep(0.3)
            return None
        return look

    return wait_for(looked, seconds)


@pytest.fixture
def canary(installation) -> Door:
    installation.fresh()
    installation.route(routing.plan_for(phase_of("canary_10"), {}))
    yield installation
    for system in installation.systems:
        system.revive()


def test_it_sees_the_500s_that_failover_hides_and_takes_the_traffic_back_without_a_database(canary, settings):
    canary.new.behave(status=500)

    with Traffic(canary) as robots:
        look = look_until(Watchdog(), Action.EMERGENCY)

    assert "requests failed" in look.decision.sentence
    assert set(robots.statuses) == {200}
    assert canary.file.latched().by == "watchdog"
    ((_, record),) = spool.waiting(settings.SPOOL_DIR)
    assert (record["rollback"]["trigger"], record["rollback"]["state"]) == ("automatic", "observed")


def test_a_healthy_system_keeps_its_traffic(canary):
    watchdog = Watchdog()

    with Traffic(canary) as robots:
        for _ in range(8):
            assert watchdog.look().decision.action is Action.NOTHING
            already = len(robots.statuses)
            wait_for(lambda already=already: len(robots.statuses) > already + 20)

    assert canary.file.read().plan.percent == 10


def test_traffic_is_not_moved_onto_a_legacy_that_is_worse(canary):
    canary.new.behave(status=500)
    canary.legacy.behave(status=500)

    with Traffic(canary):
        look_until(Watchdog(), Action.HOLD)

    assert canary.file.read().plan.percent == 10


@pytest.mark.parametrize("slug", ["shadow", "canary_10"], ids=["another route", "the same route again"])
def test_errors_under_an_earlier_route_are_not_held_against_this_one(canary, slug):
    watchdog = Watchdog()
    canary.new.behave(status=500)
    with Traffic(canary):
        look_until(watchdog, Action.EMERGENCY)
        canary.new.behave()
        wait_for(canary.new.heard)
        canary.file.release(by="lead", because="mended")
        canary.route(routing.plan_for(phase_of(slug), {}))

        for _ in range(3):
            assert watchdog.look().decision.action is Action.NOTHING
            heard = len(canary.new.heard())
            wait_for(lambda heard=heard: len(canary.new.heard()) > heard + 20)


def test_corruption_that_was_mended_is_not_held_against_the_route_that_is_released_after_it(canary):
    """What the watchdog heard last is up to a look old: it does not know yet that the state was restored."""
    heard = ["the state does not follow"]
    watchdog = Watchdog(corruption=lambda: heard[-1])
    look_until(watchdog, Action.DATA_CORRUPTION)
    canary.file.release(by="lead", because="restored")
    canary.route(routing.plan_for(phase_of("shadow"), {}))

    assert watchdog.look().decision.action is Action.NOTHING
    heard.append("")
    assert watchdog.look().decision.action is Action.NOTHING
    heard.append("the state does not follow, again")
    assert watchdog.look().decision.action is Action.DATA_CORRUPTION


def test_a_proxy_that_does_not_answer_is_named_and_the_others_are_still_read(canary, settings):
    settings.PROXIES = [*settings.PROXIES, "front-b=http://127.0.0.1:1|http://127.0.0.1:1"]

    look = Watchdog().look()

    assert look.silent == ["front-b"]
    assert list(look.counters) == ["front-a"]
