"""Acknowledged and observed mean what they say: no answer is no confirmation."""

import os
import signal
from collections.abc import Iterator

import pytest

from migration.drivers.admin import NoAnswer
from migration.drivers.envoy import PROBE_IDS, Proxy, observe, parse_proxies, wait_for_all
from migration.drivers.errors import BadProxies
from migration.rules.routes import RoutePlan
from migration.rules.split import Side
from tests.migration.door import Door, wait_for
from tests.migration.relay import relay


@pytest.fixture(scope="module")
def one_door(tmp_path_factory) -> Iterator[Door]:
    with Door(tmp_path_factory.mktemp("door")) as door:
        yield door


@pytest.fixture
def door(one_door) -> Door:
    one_door.route(RoutePlan.split(50))
    return one_door


@pytest.fixture
def proxy(door) -> Proxy:
    return Proxy("front-a", door.envoy.admin_url, door.envoy.robots_door_url)


@pytest.fixture
def dead(free_port) -> Proxy:
    return Proxy("front-b", f"http://127.0.0.1:{free_port}", f"http://127.0.0.1:{free_port}")


def test_a_route_is_acknowledged_by_its_version(door, proxy):
    routed = door.file.write(RoutePlan.split(10, pins={"a": "new"}), because="a test", by="test")

    answer = proxy.wait_for(routed.version, 5, routed.filter_version)

    assert answer.seconds is not None
    assert (proxy.running_version(), proxy.filter_version()) == (routed.version, routed.filter_version)


def test_a_proxy_that_does_not_follow_says_what_it_runs(door, proxy):
    running = door.file.read().version

    answer = proxy.wait_for(running + 100, 0.1)

    assert (answer.seconds, answer.reason) == (None, f"runs route {running}")


def test_a_proxy_that_refused_the_route_says_so(door, proxy):
    routed = door.file.read()
    broken = door.file.directory / "other.json"
    broken.write_text("{")
    broken.replace(door.file.routes)
    wait_for(lambda: "refused" in proxy.wait_for(routed.version + 1, 0.05).reason)

    answer = proxy.wait_for(routed.version + 1, 0.05)

    assert answer.reason == f"runs route {routed.version}, and refused 1 since it was started"
    door.file.initialise(routed.plan)


def test_a_dead_proxy_is_named_and_holds_nobody_up(door, proxy, dead):
    version = door.file.read().version

    one, other = wait_for_all([dead, proxy], version, 0.5)

    assert (one.proxy, one.seconds) == ("front-b", None)
    assert "no answer from" in one.reason
    assert (other.proxy, other.seconds is not None) == ("front-a", True)


def test_a_stopped_proxy_costs_its_time_out_and_is_named(door, proxy):
    routed = door.file.read()
    os.kill(door.envoy.pid, signal.SIGSTOP)
    try:
        answer = proxy.wait_for(routed.version, 60)
        probes = proxy.probe(PROBE_IDS, dict.fromkeys(PROBE_IDS, Side.NEW))
        with pytest.raises(NoAnswer, match=r"within 0\.3 s"):
            proxy.counters()
        assert proxy.running_version() is None
    finally:
        os.kill(door.envoy.pid, signal.SIGCONT)

    assert answer.seconds is None
    assert "within 0.3 s" in answer.reason
    assert (probes.asked, probes.as_predicted, len(probes.wrong)) == (80, 0, 80)


def test_a_split_is_observed_by_probes_at_every_proxy(door, proxy):
    for percent in (10, 25, 100, 0):
        routed = door.file.write(RoutePlan.split(percent), because="a test", by="test")

        seen = observe([proxy], routed, 5)

        assert seen.is_observed
        assert seen.late == []
        assert seen.acknowledged_seconds <= seen.observed_seconds


def test_a_split_is_not_observed_while_one_proxy_is_dead(door, proxy, dead):
    seen = observe([proxy, dead], door.file.read(), 0.5)

    assert not seen.is_observed
    assert [sentence.partition(":")[0] for sentence in seen.late] == ["front-b"]
    assert seen.acknowledged.keys() == {"front-a"}


def test_probes_that_contradict_the_plan_are_told(door, proxy):
    wrong = proxy.probe(PROBE_IDS, dict.fromkeys(PROBE_IDS, Side.NEW))

    moved = sum(door.file.read().plan.owner_of(each).side is Side.NEW for each in PROBE_IDS)
    assert (wrong.asked, wrong.as_predicted) == (80, moved)
    assert "is on legacy, not on new" in wrong.wrong[0]


def test_probes_of_another_route_are_told(door, proxy):
    plan = door.file.read().plan
    expected = {each: plan.owner_of(each).side for each in PROBE_IDS}

    assert proxy.probe(PROBE_IDS, expected, version=9999).as_predicted == 0
    assert proxy.probe(PROBE_IDS, expected).is_right


def test_what_answers_at_the_doors_address_but_is_no_door_confirms_nothing(door, proxy):
    bypassed = Proxy("front-a", proxy.admin_url, f"http://127.0.0.1:{door.legacy.port}")

    seen = observe([bypassed], door.file.read(), 0.3)

    assert not seen.is_observed
    assert "80 of 80 probes are wrong" in seen.late[0]


def test_a_door_that_ends_connections_early_is_asked_on_for_what_it_left_open(door, proxy):
    """Asked for everything anew each time, it would never give all the answers over one set of connections."""
    with relay(door, most_calls=15) as url:
        seen = observe([Proxy("front-a", proxy.admin_url, url)], door.file.read(), 5)

    assert seen.is_observed, seen.late


def test_a_route_that_was_overtaken_is_not_waited_for(door, proxy):
    """The door's first answer comes after another route: this one does not come back."""
    routed = door.file.read()

    with relay(door, at_first=lambda: door.route(RoutePlan.split(25))) as url:
        seen = observe([Proxy("front-a", proxy.admin_url, url)], routed, 3_600)

    assert not seen.is_observed
    assert "probes are wrong" in seen.late[0]


def test_asking_nobody_confirms_nothing(door, proxy):
    assert not proxy.probe([], {}).is_right
    assert not observe([], door.file.read(), 0.1).is_observed


def test_a_list_of_proxies_is_read():
    given = ["front-a=http://127.0.0.1:9901|http://127.0.0.1:8080", " b = http://b:1/ | http://b:2/ "]

    assert parse_proxies(given) == [
        Proxy("front-a", "http://127.0.0.1:9901", "http://127.0.0.1:8080"),
        Proxy("b", "http://b:1", "http://b:2"),
    ]


@pytest.mark.parametrize("entry", ["", "a", "a=http://x", "=http://x|http://y", "a=x|y", "a=http://x|http://y|z"])
def test_what_is_no_proxy_is_named(entry):
    with pytest.raises(BadProxies, match="write name=admin-url"):
        parse_proxies([entry])


def test_a_proxy_that_is_named_twice_is_refused():
    with pytest.raises(BadProxies):
        parse_proxies(["a=http://x|http://y", "a=http://z|http://y"])
