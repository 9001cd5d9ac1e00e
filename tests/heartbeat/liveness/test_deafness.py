"""After a pause of the watcher, of ingest or of the database there is no false storm, and the dead are found."""

from tests.heartbeat.liveness.world import World, at

FLEET = [f"r{number}" for number in range(40)]
DEAD = FLEET[:5]


def _living_speak(world: World, second: float) -> None:
    world.database.execute("UPDATE heartbeat_robot SET last_seen_at = %s WHERE robot_id <> ALL(%s)", [at(second), DEAD])


def _everybody_at(world: World, second: float) -> None:
    for robot_id in FLEET:
        world.robot(robot_id, second)
    world.pass_to(second + 1)


def test_everything_stopped_for_ten_minutes_makes_no_false_event_and_finds_the_five_dead(world: World) -> None:
    """healthchecks 664, Uptime Kuma 1159: after an outage of the monitor everything was down."""
    _everybody_at(world, 0)
    world.pass_to(20)

    world.restarted()
    world.tick(620)  # the watcher is first, before ingest could say a word
    world.hear(620.1, tolerated_seconds=1)
    world.tick(620.2)
    _living_speak(world, 649)  # the last of them: a turn of 30 s after the end
    world.pass_to(649.1, 681)
    _living_speak(world, 681)
    world.pass_to(682, 740)
    _living_speak(world, 740)
    world.pass_to(773)

    fallen = {row["robot_id"] for row in world.rows("SELECT robot_id FROM heartbeat_livenessevent WHERE number > 1")}
    offline = world.rows("SELECT robot_id FROM heartbeat_livenessevent WHERE to_state = 'offline'")
    assert fallen == set(DEAD)
    assert sorted(row["robot_id"] for row in offline) == sorted(DEAD)


def test_while_only_the_watcher_was_stopped_nothing_is_excused_and_nobody_accused(world: World) -> None:
    _everybody_at(world, 0)
    for second in range(30, 601, 30):
        _living_speak(world, second)
    world.hear(620)
    world.tick(620)

    assert world.events("r0") == [("late", 61.0), ("offline", 152.0)]
    assert world.rows("SELECT DISTINCT robot_id FROM heartbeat_livenessevent WHERE number > 1 ORDER BY 1") == [
        {"robot_id": robot_id} for robot_id in DEAD
    ]


def test_while_nobody_listens_no_deadline_passes(world: World) -> None:
    world.robot("a", 0)
    world.pass_to(1, 60)
    for second in (61, 100, 152, 1000, 10_000):
        world.tick(second)

    assert world.events() == []


def test_a_clock_that_is_set_forward_is_a_deaf_time(world: World) -> None:
    world.robot("a", 0)
    world.pass_to(1, 10)
    world.tick(3610)
    world.hear(3610.2, tolerated_seconds=1)
    world.tick(3610.3)
    world.beat("a", 3630)
    world.pass_to(3631, 3680)

    assert world.events() == []


def test_a_clock_that_is_set_back_accuses_nobody_and_the_dead_are_found_when_it_has_caught_up(world: World) -> None:
    world.robot("a", 3600)
    world.pass_to(3601)
    world.pass_to(0.5, 30, 100, 1000, 3601)
    assert world.events() == []

    world.pass_to(3662)

    assert world.events("a") == [("late", 3661.0)]


def test_an_ingest_that_dies_every_20_s_does_not_hide_a_dead_robot_for_ever(world: World) -> None:
    world.robot("a", 0)
    for second in range(0, 300, 20):
        world.hear(second + 18)
        world.hear(second + 20, tolerated_seconds=1)
        world.tick(second + 20)

    assert [state for state, _ in world.events("a")] == ["late", "offline"]
    assert world.events("a")[1][1] < 1.4 * 152


def test_what_was_offline_before_a_deaf_time_stays_so_until_it_is_heard(world: World) -> None:
    world.robot("a", 0)
    world.pass_to(1, 153)
    world.hear(1000, tolerated_seconds=1)
    world.tick(1000)
    world.pass_to(1100, 1200)

    assert world.events("a") == [("late", 61.0), ("offline", 152.0)]
