"""What is told: one incident for what fell silent together, nothing for what was planned, little of what flaps."""

from tests.heartbeat.liveness.world import World

SITE = [f"r{number:02}" for number in range(50)]


def _incidents(world: World) -> list[tuple[str, str, int, bool]]:
    rows = world.rows("SELECT * FROM heartbeat_incident ORDER BY id")
    return [(row["site"], row["level"], row["robots"], row["closed_at"] is not None) for row in rows]


def test_fifty_robots_of_one_site_that_vanish_are_one_incident_and_one_recovery(world: World) -> None:
    """Uptime Kuma 1137: fifty messages for one broken link."""
    for number, robot_id in enumerate(SITE):
        world.robot(robot_id, number * 0.6, site="hall-3")
    world.pass_to(*range(31, 190, 3))
    for number, robot_id in enumerate(SITE):
        world.beat(robot_id, 200 + number * 0.6)
        world.pass_to(200.1 + number * 0.6)

    assert _incidents(world) == [("hall-3", "offline", 50, True)]
    assert world.notices() == ["late", "offline", "recovered"]
    assert len([state for state, _ in world.events() if state == "offline"]) == 50
    told = world.rows("SELECT text FROM heartbeat_notice ORDER BY id")
    assert told[2]["text"].startswith("all 50 robots at site hall-3 are online again after ")


def test_robots_of_two_sites_are_two_incidents(world: World) -> None:
    world.robot("a", 0, site="x")
    world.robot("b", 0, site="y")
    world.pass_to(1, 62)

    assert sorted(_incidents(world)) == [("x", "late", 1, False), ("y", "late", 1, False)]


def test_a_robot_that_vanishes_much_later_is_an_incident_of_its_own(world: World) -> None:
    world.robot("a", 0, site="x")
    world.robot("b", 300, site="x")
    world.pass_to(1, 62, 153, 300, 362)

    assert _incidents(world) == [("x", "offline", 1, False), ("x", "late", 1, False)]


def test_late_has_a_route_of_its_own(world: World) -> None:
    """healthchecks 377: somebody wants to know of lateness, and somebody else must not be woken by it."""
    world.robot("a", 0)
    world.pass_to(1, 62)
    world.beat("a", 70)
    world.pass_to(70.1)
    assert world.notices() == ["late", "recovered"]

    world.pass_to(132, 223)

    assert world.notices() == ["late", "recovered", "late", "offline"]


def test_a_new_watcher_goes_on_with_the_incident_of_the_one_before(world: World) -> None:
    world.robot("a", 0, site="x")
    world.robot("b", 10, site="x")
    world.pass_to(11, 62)
    world.restarted()
    world.pass_to(72, 153, 163)
    world.restarted()
    world.beat("a", 170)
    world.beat("b", 170)
    world.pass_to(170.1)

    assert _incidents(world) == [("x", "offline", 2, True)]
    assert world.notices() == ["late", "offline", "recovered"]


def test_a_robot_that_comes_and_goes_is_counted_and_told_once(world: World) -> None:
    world.robot("a", 0, expected_interval_seconds=1)
    told = []
    for second in range(0, 200, 20):
        world.beat("a", second)
        world.pass_to(second + 0.1, second + 3.1, second + 7.1)
        told.append(len(world.notices()))

    (held,) = world.rows("SELECT falls, flapping FROM heartbeat_liveness")
    assert (held["falls"], held["flapping"]) == (10, True)
    # Twice as any other, then once that it comes and goes; nothing after that.
    assert told == [2, 5, 8, *[8] * 7]
    assert "it comes and goes: fall 3" in world.rows("SELECT text FROM heartbeat_notice ORDER BY id")[6]["text"]
    damped = world.rows("SELECT count(*) FROM heartbeat_livenessevent WHERE damped")
    assert damped[0]["count"] == 21

    world.beat("a", 201, expected_interval_seconds=7200)
    world.pass_to(201.1, 800)
    assert world.notices()[8:] == []
    world.pass_to(2600)
    assert world.notices()[8:] == ["recovered"]


class TestMaintenanceWindows:
    def test_a_planned_silence_makes_no_alarm(self, world: World) -> None:
        world.robot("a", 0)
        world.window(30, 300)
        world.pass_to(1, 62, 153)
        world.beat("a", 250)
        world.pass_to(250.1, 301)

        assert [state for state, _ in world.events("a")] == ["late", "offline", "online"]
        assert world.notices() == []
        reasons = world.rows("SELECT reason, window_id FROM heartbeat_livenessevent WHERE to_state = 'offline'")
        assert (reasons[0]["reason"].endswith("planned: motors swapped"), reasons[0]["window_id"]) == (True, 1)

    def test_offline_before_and_after_a_window_is_told_once(self, world: World) -> None:
        """Uptime Kuma 7148: down, maintenance, still down, and everybody was told again."""
        world.robot("a", 0)
        world.pass_to(1, 62, 153)
        assert world.notices() == ["late", "offline"]
        world.window(200, 400)
        world.pass_to(200, 300, 401, 600, 2000)

        assert world.notices() == ["late", "offline"]

    def test_what_does_not_come_back_from_a_window_is_told_once_after_its_patience(self, world: World) -> None:
        world.robot("a", 0)
        world.window(30, 300)
        world.pass_to(1, 153, 301, 451.9)
        assert world.notices() == []

        world.pass_to(452.1, 500, 2000)

        assert world.notices() == ["offline"]
        assert "still silent after the maintenance window" in world.rows("SELECT text FROM heartbeat_notice")[0]["text"]

    def test_neither_an_edit_nor_a_heartbeat_lifts_a_pause(self, world: World) -> None:
        """healthchecks 343: a paused check was resumed by a ping, or by saving its form."""
        world.robot("a", 0)
        window = world.window(30)
        world.pass_to(31)
        world.beat("a", 40, expected_interval_seconds=20)
        world.database.execute(
            "UPDATE heartbeat_maintenancewindow SET reason = 'longer than thought' WHERE id = %s", [window]
        )
        world.pass_to(41, 100, 200, 100_000)

        assert [state for state, _ in world.events("a")] == ["late", "offline"]
        assert world.notices() == []

    def test_a_window_is_about_whom_it_names(self, world: World) -> None:
        scopes = {"by-site": {"site": "x"}, "by-kind": {"kind_by_id": "xle"}, "by-tag": {"tags": ["spare"]}}
        for robot_id, columns in {**scopes, "by-name": {}, "other": {"site": "z"}}.items():
            world.robot(robot_id, 0, **columns)
        world.window(0, scope="site", value="x")
        world.window(0, scope="kind", value="xle")
        world.window(0, scope="tag", value="spare")
        world.window(0, scope="robots", robots=["BY-NAME"])
        world.pass_to(1, 153)

        assert _incidents(world) == [("z", "offline", 1, False)]
