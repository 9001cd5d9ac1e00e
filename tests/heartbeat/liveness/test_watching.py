"""The steps that silence and hearing make, at the times they became true. Numbers are the monitors' own complaints."""

import psycopg
import pytest

from tests.heartbeat.liveness.world import World

LATE, OFFLINE = 61.0, 152.0


def _many_others(world: World) -> None:
    """So many that the round over all robots does not come to `z` in a few ticks."""
    for number in range(90):
        world.robot(f"r{number:02}", 0, interval_seconds=3600)


def test_a_robot_that_falls_silent_gets_late_then_offline_then_recovers_in_order(world: World) -> None:
    world.robot("a", 0)
    world.pass_to(1, 61, 61.1, 152, 152.1)
    world.beat("a", 200)
    world.pass_to(200.1)

    assert world.events("a") == [("late", LATE), ("offline", OFFLINE), ("online", 200.0)]
    numbers = world.rows("SELECT number, from_state, noticed_at >= became_at AS after FROM heartbeat_livenessevent")
    assert [(row["number"], row["from_state"]) for row in numbers] == [
        (1, "never"),
        (2, "online"),
        (3, "late"),
        (4, "offline"),
    ]
    assert all(row["after"] for row in numbers)


def test_a_heartbeat_that_is_stored_in_time_wins_though_the_watcher_looks_after_the_deadline(world: World) -> None:
    world.robot("a", 0)
    world.pass_to(1)
    world.beat("a", 60.9)
    world.pass_to(61.1, 121.8)

    assert world.events() == []


def test_a_beat_exactly_at_its_deadline_then_silence_is_one_offline_event(world: World) -> None:
    """ThingsBoard 9156: a message exactly at the time-out, and inactivity was never told."""
    world.robot("a", 0)
    world.pass_to(1, 60.9)
    world.beat("a", LATE)
    world.pass_to(61, 61.05, 61.5, 122, 122.1, 213, 213.1, 400, 1000)

    assert world.events("a") == [("late", 2 * LATE), ("offline", LATE + OFFLINE)]


def test_an_open_socket_that_says_nothing_is_silent(world: World) -> None:
    """ThingsBoard 15614: connected counts for nothing. What makes a robot alive is `last_seen_at`, from heartbeats."""
    world.robot("a", 0, protocol="v2", address="10.0.0.7")
    world.pass_to(1)
    world.beat("a", 0, address="10.0.0.8", last_side="new")
    world.pass_to(62, 153)

    assert world.events("a") == [("late", LATE), ("offline", OFFLINE)]


def test_what_became_true_while_nobody_watched_is_told_with_the_time_it_became_true(world: World) -> None:
    world.robot("a", 0)
    world.pass_to(1)
    world.hear(500)
    world.restarted()
    world.tick(500)

    assert world.events("a") == [("late", LATE), ("offline", OFFLINE)]


def test_restarting_the_watcher_every_20_s_moves_no_deadline(world: World) -> None:
    """Gatus 1237: a timer that began with the process never fired."""
    world.robot("a", 0)
    for second in range(1, 182, 20):
        world.restarted()
        world.pass_to(second)

    assert world.events("a") == [("late", LATE), ("offline", OFFLINE)]


def test_a_robot_enrolled_and_never_heard_is_listed_and_gets_online_with_its_first_heartbeat(world: World) -> None:
    world.robot("a", None)
    world.pass_to(1, 1000)
    assert (world.state("a"), world.events()) == ("never", [])

    world.beat("a", 1001)
    world.pass_to(1001.1)

    (event,) = world.rows("SELECT from_state, to_state, reason FROM heartbeat_livenessevent")
    assert (event["from_state"], event["to_state"], event["reason"]) == ("never", "online", "first heard")


def test_an_interval_that_shrinks_brings_the_deadline_forward(world: World) -> None:
    _many_others(world)
    world.robot("z", 0, interval_seconds=3600)
    world.pass_to(1)
    world.beat("z", 100, interval_seconds=1)
    world.pass_to(100.2, 103.1, 107.1)

    assert world.events("z") == [("late", 103.0), ("offline", 107.0)]


def test_an_operators_interval_and_grace_win_and_count_at_once(world: World) -> None:
    _many_others(world)
    world.robot("z", 0, interval_seconds=3600)
    world.pass_to(1)
    world.database.execute(
        "UPDATE heartbeat_robot SET expected_interval_seconds = 10, grace_seconds = 5 WHERE robot_id = 'z'"
    )
    world.pass_to(2, 15.1, 20.1)

    assert world.events("z") == [("late", 15.0), ("offline", 20.0)]


def test_a_robot_of_which_less_is_expected_is_late_no_more(world: World) -> None:
    world.robot("a", 0)
    world.pass_to(1, 62)
    world.database.execute("UPDATE heartbeat_robot SET expected_interval_seconds = 600")
    world.pass_to(63)

    assert world.events("a") == [("late", LATE), ("online", 63.0)]


def test_a_robot_that_was_removed_is_forgotten_and_leaves_its_incident(world: World) -> None:
    world.robot("a", 0)
    world.robot("b", 0)
    world.pass_to(1, 153)
    world.beat("b", 154)
    world.database.execute("DELETE FROM heartbeat_robot WHERE robot_id = 'a'")
    world.pass_to(155, 156, 157, 158)

    assert [row["robot_id"] for row in world.rows("SELECT robot_id FROM heartbeat_liveness")] == ["b"]
    assert world.rows("SELECT count(*) FROM heartbeat_incident WHERE closed_at IS NULL")[0]["count"] == 0


def test_a_tick_that_fails_while_it_writes_leaves_nothing_half_done(world: World) -> None:
    world.robot("a", 0)
    world.pass_to(1)
    statements = ("heartbeat_liveness", "heartbeat_livenessevent", "heartbeat_notice", "heartbeat_incidentmember")
    for table in statements:
        world.database.execute(f"ALTER TABLE {table} ADD CONSTRAINT broken CHECK (false) NOT VALID")
        with pytest.raises(psycopg.errors.CheckViolation):
            world.pass_to(153)
        world.database.execute(f"ALTER TABLE {table} DROP CONSTRAINT broken")
        world.restarted()
        assert (world.events(), world.notices(), world.state("a")) == ([], [], "online")

    world.pass_to(154)

    assert world.events("a") == [("late", LATE), ("offline", OFFLINE)]
    assert world.notices() == ["offline"]
