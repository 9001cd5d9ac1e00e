import httpx

from tests.heartbeat.conftest import ENROLLED, body

FROM = {"x-forwarded-for": "10.1.2.3, 192.168.88.7"}
ASK = "/api/robot/192.168.88.7/teleoperation-status"


async def test_a_robot_at_an_unknown_address_is_not_claimed_to_be_known(new: httpx.AsyncClient) -> None:
    answer = (await new.get(ASK)).json()

    assert answer["success"] is False
    assert answer["robot_ip"] == "192.168.88.7"
    assert answer["operation_status"]["message"] == "no robot speaks from this address"


async def test_a_running_host_is_not_taken_for_an_operator(new: httpx.AsyncClient) -> None:
    await new.post("/api/robot/status", json=body(health={"services": {"teleop": "active"}}), headers=FROM)

    answer = (await new.get(ASK)).json()

    assert (answer["success"], answer["teleop_host_ready"], answer["teleoperated"]) == (True, True, None)


async def test_a_v2_robot_says_it_itself(new: httpx.AsyncClient) -> None:
    said = {"robot_id": ENROLLED, "teleop": {"host_up": True, "command_age_ms": 20, "command_rate_hz": 30}}
    await new.post("/api/v2/heartbeat", json=said, headers=FROM)

    answer = (await new.get(ASK)).json()

    assert (answer["teleop_operated"], answer["operation_status"]["active"]) == (True, True)


async def test_two_robots_behind_one_address_are_not_guessed_apart(new: httpx.AsyncClient) -> None:
    for name in ("Lekiwi_1", "Lekiwi_2"):
        await new.post("/api/robot/status", json=body(name, health={"services": {"teleop": "active"}}), headers=FROM)

    answer = (await new.get(ASK)).json()

    assert (answer["success"], answer["teleoperated"]) == (False, False)
