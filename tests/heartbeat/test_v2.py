import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from tests.heartbeat.conftest import marks


def v2(robot_id: str = "XLE_0000002A", **fields: Any) -> dict[str, Any]:
    return {"robot_id": robot_id, **fields}


FULL = v2(
    kind="xlerobot",
    site="b",
    firmware="2.1.0",
    boot_id="boot-1",
    sequence=17,
    sent_at="2026-11-24T10:00:00.5+01:00",
    status="deploying",
    version="v1.3.0-xle",
    deployment_id="dep_cccccccccccc",
    battery_percent=81.5,
    cpu_temperature_celsius=54.0,
    network={"rssi_dbm": -61, "rtt_ms": 4.2},
    motors=[{"id": 1, "name": "arm_shoulder_pan", "position_degrees": 12.5, "temperature_celsius": 41.0}],
    cameras=[{"name": "front", "fps": 29.7}],
    base={"x_vel": 0.1, "y_vel": 0.0, "theta_vel": -12.0},
    services={"teleop": "active", "lekiwi": "active"},
    teleop={"command_age_ms": 36, "command_rate_hz": 30.1, "observers": 1},
    next_in_s=5,
    extra={"note": "grüße"},
)


async def test_it_is_accepted_after_its_commit(new: httpx.AsyncClient, dsn: str) -> None:
    headers = marks()
    answer = await new.post("/api/v2/heartbeat", json=FULL, headers=headers)

    assert answer.status_code == 200
    accepted = answer.json()
    assert (accepted["status"], accepted["robot_id"]) == ("accepted", "XLE_0000002A")
    assert accepted["request_id"] == headers["x-request-id"]
    connection = await asyncpg.connect(dsn)
    stored = await connection.fetchrow("SELECT * FROM heartbeat_history")
    robot = await connection.fetchrow("SELECT * FROM heartbeat_robot")
    await connection.close()
    assert (stored["call"], stored["boot_id"], stored["sequence"]) == ("heartbeat", "boot-1", 17)
    assert stored["sent_at"].isoformat() == "2026-11-24T09:00:00.500000+00:00"
    assert json.loads(stored["rest"]) == {"extra": {"note": "grüße"}}
    assert (robot["kind"], robot["site"], robot["firmware"], robot["battery_percent"]) == ("xle", "b", "2.1.0", 81.5)
    assert robot["interval_seconds"] == 5


async def test_the_least_is_an_id(new: httpx.AsyncClient) -> None:
    assert (await new.post("/api/v2/heartbeat", json=v2())).status_code == 200


async def test_state_is_one_so_legacys_row_moves_too(new: httpx.AsyncClient) -> None:
    await new.post("/api/v2/heartbeat", json=FULL)

    row = (await new.get("/api/robots/XLE_0000002A")).json()
    assert (row["status"], row["version"]) == ("deploying", "v1.3.0-xle")
    assert row["health"]["services"] == {"teleop": "active", "lekiwi": "active"}


_IDENTITY = "SELECT battery_percent, firmware, kind, site FROM heartbeat_robot"


async def test_what_was_measured_is_forgotten_when_not_said_again_but_not_what_the_robot_is(
    new: httpx.AsyncClient, dsn: str
) -> None:
    await new.post("/api/v2/heartbeat", json=FULL)
    await new.post("/api/v2/heartbeat", json=v2())

    connection = await asyncpg.connect(dsn)
    robot = await connection.fetchrow(_IDENTITY)
    await connection.close()
    assert tuple(robot) == (None, "2.1.0", "xle", "b")


async def test_what_a_robot_is_may_be_said_by_any_heartbeat_of_a_commit(new: httpx.AsyncClient, dsn: str) -> None:
    said = [v2(boot_id="boot-1", sequence=1, kind="xle"), v2(boot_id="boot-1", sequence=2, site="b")]
    said += [v2(boot_id="boot-1", sequence=3, kind="lekiwi"), v2(boot_id="boot-1", sequence=4)]
    await new.post("/api/v2/heartbeats", json=said)

    connection = await asyncpg.connect(dsn)
    robot = await connection.fetchrow(_IDENTITY)
    await connection.close()
    assert tuple(robot) == (None, "", "lekiwi", "b")


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({}, "robot_id", "is required"),
        (v2(5), "robot_id", "str"),
        (v2(""), "robot_id", "length"),
        (v2("a\nb"), "robot_id", "control"),
        (v2("ä" * 100), "robot_id", "128 bytes"),
        (v2(battery_percent=101), "battery_percent", "100"),
        (v2(battery_percent="full"), "battery_percent", "float"),
        (v2(sequence=-1), "sequence", "0"),
        (v2(sequence=2**63), "sequence", ""),
        (v2(sent_at="2026-11-24T10:00:00"), "sent_at", ""),
        (v2(motors=[{"id": 1}, {"name": "x"}]), "motors[1].id", "is required"),
        (v2(cameras=[{"name": "front", "fps": -1}]), "cameras[0].fps", "0"),
        (v2(next_in_s=0), "next_in_s", "0"),
        (v2(services={"teleop": "on"}), "services[...]", "on"),
        (v2(message="a\x00b"), "message", "U+0000"),
        (v2(extra={"deep": [{"er": "\x00"}]}), "extra.deep[0].er", "U+0000"),
        (v2(extra={"big": "x" * 5_000}), "extra", "4096"),
    ],
)
async def test_bad_input_is_named_by_field_and_reason(
    new: httpx.AsyncClient, body: dict[str, Any], field: str, reason: str
) -> None:
    answer = await new.post("/api/v2/heartbeat", json=body)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == ("about:blank", 422)
    (error,) = problem["errors"]
    assert error["field"] == field
    assert reason in error["reason"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b"NaN", b'{"robot_id": NaN}', b"\xff", b"[" * 100_000, b" " * 70_000]
)
async def test_what_is_no_heartbeat_at_all(new: httpx.AsyncClient, content: bytes) -> None:
    answer = await new.post("/api/v2/heartbeat", content=content)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["reason"]


async def test_unknown_fields_of_newer_robots_are_ignored(new: httpx.AsyncClient) -> None:
    assert (await new.post("/api/v2/heartbeat", json=v2(gripper_mood="calm"))).status_code == 200


async def test_only_post_is_allowed(new: httpx.AsyncClient) -> None:
    answer = await new.get("/api/v2/heartbeat")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_what_was_true_a_while_ago_is_stored_with_its_own_time(new: httpx.AsyncClient, dsn: str) -> None:
    now = datetime.now(UTC)
    for sequence, sent_at in enumerate((now, now - timedelta(seconds=50)), 1):
        body = v2(boot_id=f"boot-{sequence}", sequence=sequence, sent_at=sent_at.isoformat())
        assert (await new.post("/api/v2/heartbeat", json=body)).status_code == 200

    connection = await asyncpg.connect(dsn)
    on_time, late = await connection.fetch("SELECT received_at, at FROM heartbeat_heartbeat ORDER BY sequence")
    await connection.close()
    assert on_time["at"] is None
    assert late["received_at"] - late["at"] == pytest.approx(timedelta(seconds=50), abs=timedelta(seconds=2))


async def test_a_robot_whose_layout_is_known_is_read_as_the_first_time(new: httpx.AsyncClient, dsn: str) -> None:
    def said(sequence: int, position: object, **more: object) -> dict[str, Any]:
        motors = [{"id": 1, "name": "head_motor_1", "position_degrees": position, **more}]
        return v2(boot_id="boot-1", sequence=sequence, motors=motors)

    good = [said(1, 12.5), said(2, -3), said(3, 1e-7), said(4, 12.25), said(5, 1.5, velocity=2.5), said(6, 3.5)]
    for body in good:
        assert (await new.post("/api/v2/heartbeat", json=body)).status_code == 200
    refused = await new.post("/api/v2/heartbeat", json=said(7, "straight"))
    too_large = await new.post(
        "/api/v2/heartbeat", content=json.dumps(said(8, 0)).replace(": 0}", ": " + "9" * 31 + "}")
    )

    assert [answer.json()["errors"][0]["field"] for answer in (refused, too_large)] == [
        "motors[0].position_degrees"
    ] * 2
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT array_agg(m.channel || ' ' || m.value ORDER BY m.channel) AS told FROM heartbeat_motor m JOIN"
        " heartbeat_heartbeat h USING (spelling_id, received_at) WHERE m.name = 'head_motor_1'"
        " GROUP BY h.sequence ORDER BY h.sequence"
    )
    await connection.close()
    positions = ["12.5", "-3", "1e-07", "12.25", "1.5", "3.5"]
    told = [[f"position_degrees {position}"] for position in positions]
    told[4].append("velocity 2.5")
    assert [row["told"] for row in rows] == told


@pytest.mark.parametrize("member", [b'"torque":1e400', b'"note":"\xff"', b'"count":' + b"9" * 5_000])
async def test_a_member_that_nobody_knows_is_ignored_though_it_cannot_be_read(
    new: httpx.AsyncClient, member: bytes
) -> None:
    body = b'{"robot_id":"XLE_0000002A","motors":[{"id":1,"velocity":1.5,' + member + b"}]}"

    for _ in range(2):
        assert (await new.post("/api/v2/heartbeat", content=body)).status_code == 200
