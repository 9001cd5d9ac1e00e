"""The door and the control plane agree on the side of every robot, id for id."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from heartbeat.rules.identity import bucket_of
from migration.rules.routes import RoutePlan
from tests.migration.door import CHECK, STATUS, Door

HOSTILE = [
    "É",
    "é",
    "\u212a",
    "机器人-7",
    "🤖",
    "ROBOT 🤖 A",
    "a/b",
    "a%2Fb",
    "%41",
    "100%",
    "a+b",
    "a b",
    " a ",
    "a&b=c",
    "a=b",
    "a;b",
    "a#b",
    "a?b",
    ":@!$'()*,",
    'a"b',
    "a\\b",
    "a\\u0041",
    "a\\\\",
    "]==]",
    '"} {"robot_id": "x',
    '{"robot_id": "x"}',
    "../..",
    "a//b",
    "robot_id",
    "\\ud83e\\udd16",
    "x" * 128,
    "x" * 129,
    "é" * 64,
    "é" * 65,
    "a\nb",
    "a\tb",
    "a\x7f",
    "a\x80b",
    "\x00",
    "",
    "a\ud83d",
    "\udd16\ud83e",
]
FLEET = [f"Lekiwi_{number * 2654435761 % 2**32:08X}" for number in range(30)] + [f"xle-{n}" for n in range(30)]
IDS = FLEET + HOSTILE
PINS = {FLEET[0]: "new", FLEET[1]: "legacy", "É": "new", "]==]": "legacy", "a b": "new"}


@pytest.fixture(scope="module")
def door(tmp_path_factory) -> Iterator[Door]:
    with Door(tmp_path_factory.mktemp("door")) as door:
        yield door


def sendable(robot_id):
    """What a query or a path can hold: any text, but no half of a surrogate pair."""
    return not any("\ud800" <= char <= "\udfff" for char in robot_id)


def every_byte(robot_id):
    return "".join(f"%{byte:02X}" for byte in robot_id.encode())


def in_body(robot_id):
    return ("POST", STATUS, json.dumps({"health": {"robot_id": "not me"}, "robot_id": robot_id}), {})


def in_utf8_body(robot_id):
    text = json.dumps({"a": [{"robot_id": "not me"}], "robot_id": robot_id, "m": "é"}, ensure_ascii=False)
    return ("POST", STATUS, text.encode("utf-8", "surrogatepass"), {})


def in_body_twice(robot_id):
    return ("POST", f"{STATUS}?robot_id=not+me", f'{{"robot_id": "not me", "robot_id": {json.dumps(robot_id)}}}', {})


def in_query(robot_id):
    return ("GET", f"{CHECK}?robot_id=not+me&current_version=1&robot_id={quote(robot_id, safe='')}", None, {})


def in_encoded_query(robot_id):
    return ("GET", f"{CHECK}?robot%5Fid={every_byte(robot_id)}&group=all", None, {})


def in_form_query(robot_id):
    return ("GET", f"{CHECK}?robot_id={quote(robot_id, safe='').replace('%20', '+')}", None, {})


def in_header(robot_id):
    return ("GET", CHECK, None, {"x_robot_id": robot_id.encode()})


FORMS = [in_body, in_utf8_body, in_body_twice, in_query, in_encoded_query, in_form_query, in_header]


def can_be_sent(form, robot_id):
    if form is in_header:
        return robot_id == robot_id.strip() and robot_id.isprintable() and robot_id != "" and sendable(robot_id)
    # A proxy refuses NUL in a URL before anything else.
    return form in (in_body, in_utf8_body, in_body_twice) or (sendable(robot_id) and "\x00" not in robot_id)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("percent", [10, 25, 50, 100])
def test_every_robot_is_on_the_side_that_was_predicted(door, percent, form):
    plan = RoutePlan.split(percent, pins=PINS)
    if door.file.read().plan != plan:
        door.route(plan)
    for system in door.systems:
        system.forget()
    ids = [robot_id for robot_id in IDS if can_be_sent(form, robot_id)]

    with door.robot() as robot:
        answers = {}
        for robot_id in ids:
            method, path, body, headers = form(robot_id)
            answers[robot_id] = robot.call(method, path, body, **headers)

    assert {robot_id: answer.system for robot_id, answer in answers.items()} == {
        robot_id: plan.owner_of(robot_id).side for robot_id in ids
    }
    by_request = {
        each["headers"]["x-request-id"]: each["headers"].get("x-robot-bucket")
        for system in (door.legacy, door.new)
        for each in system.heard()
        if "x-shadow" not in each["headers"]
    }
    assert {robot_id: by_request[answer.headers["x-request-id"]] for robot_id, answer in answers.items()} == {
        robot_id: None if bucket_of(robot_id) is None else str(bucket_of(robot_id)) for robot_id in ids
    }


@pytest.mark.parametrize("path", ["/api/robots/{}", "/api/v2/robots/{}/history"])
def test_an_id_in_the_path_has_the_same_bucket(door, path):
    ids = [
        robot_id for robot_id in IDS if sendable(robot_id) and bucket_of(robot_id) is not None and robot_id != "../.."
    ]
    for system in door.systems:
        system.forget()
    door.route(RoutePlan.split(50))

    for robot_id in ids:
        door.call("GET", path.format(every_byte(robot_id)), x_robot_id="not-me")

    heard = [each["headers"].get("x-robot-bucket") for each in door.legacy.heard()]
    assert heard == [str(bucket_of(robot_id)) for robot_id in ids]


@pytest.mark.parametrize("percent", [0, 10, 50, 100])
def test_probes_follow_the_same_rules_and_no_system_hears_of_them(door, percent):
    plan = RoutePlan.split(percent, pins=PINS)
    routed = door.route(plan)
    for system in door.systems:
        system.forget()
    ids = [robot_id for robot_id in IDS if can_be_sent(in_header, robot_id)]

    answers = {robot_id: door.call("GET", "/_door/side", x_robot_id=robot_id.encode()).json() for robot_id in ids}
    by_query = door.call("GET", f"/_door/side?robot_id={quote(FLEET[0])}").json()

    assert answers == {robot_id: {"side": plan.owner_of(robot_id).side, "version": routed.version} for robot_id in ids}
    assert by_query["side"] == "new"
    assert all(system.heard() == [] for system in door.systems)
    assert door.call("GET", "/_door/else").status == 404


def test_the_share_of_a_fleet_is_near_the_percentage(door):
    plan = RoutePlan.split(25)

    moved = sum(plan.owner_of(f"robot-{number}").side == "new" for number in range(10_000))

    assert abs(moved - 2_500) < 150
