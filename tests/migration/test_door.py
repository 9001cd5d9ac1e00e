"""The allow-list, the marks and the bodies, at a real door."""

import gzip
import hashlib
import json
import socket
import uuid
from collections.abc import Iterator

import pytest

from migration.rules.routes import RoutePlan
from tests.migration.door import CHECK, STATUS, Door, wait_for


@pytest.fixture(scope="module")
def open_door(tmp_path_factory) -> Iterator[Door]:
    with Door(tmp_path_factory.mktemp("door")) as door:
        yield door


@pytest.fixture
def door(open_door) -> Door:
    for system in open_door.systems:
        system.revive()
    open_door.route(RoutePlan.split(50, pins={"on-new": "new", "on-legacy": "legacy"}))
    return open_door


def copies(system, path=STATUS):
    return [each for each in system.heard(path) if "x-shadow" in each["headers"]]


OPERATORS_CALLS = [
    ("GET", "/health"),
    ("GET", "/api/robots"),
    ("GET", "/api/robots/on-new"),
    ("GET", "/api/fleet"),
    ("GET", "/api/deployments?limit=3"),
    ("POST", "/api/rollback"),
    ("GET", "/api/robot/10.0.0.1/teleoperation-status"),
    ("GET", "/api/discovery/status"),
    ("GET", "/robots/count"),
    ("GET", STATUS),
    ("POST", CHECK),
    ("PUT", STATUS),
]


@pytest.mark.parametrize(("method", "path"), OPERATORS_CALLS)
def test_operators_calls_go_to_legacy_once_and_nobody_hears_a_copy(door, method, path):
    door.legacy.behave(status=500)

    answer = door.call(method, path, b"{}", x_robot_id="on-new")

    assert answer.system == "legacy"
    assert [each["path"] for each in door.legacy.heard()] == ([path] if path != "/health" else [])
    assert door.new.heard() == door.site.heard() == []


@pytest.mark.parametrize(
    "path",
    ["/admin/", "/api/v2/health", "/api/v2/migration", "/metrics", "/ws/live/", "/static/x.css", "/api/v2/robots"],
)
def test_nothing_of_new_but_robots_calls_can_be_reached(door, path):
    for plan in (RoutePlan.split(50), RoutePlan.split(100)):
        door.route(plan)
        door.call("GET", path, x_robot_id="on-new")

    assert door.new.heard() == door.site.heard() == door.live.heard() == []


@pytest.mark.parametrize(("method", "path"), [call for call in OPERATORS_CALLS if call[1] != "/health"])
def test_at_100_percent_the_site_answers_operators(door, method, path):
    door.route(RoutePlan.split(100))

    assert door.call(method, path, b"{}").system == "new"
    assert [each["path"] for each in door.site.heard()] == [path]
    assert door.legacy.heard() == []


@pytest.mark.parametrize(
    "path", ["/_sim/faults", "/%5Fsim/faults", "//_sim/faults", "/x/../_sim/faults", "/_s%69m%2Ffaults"]
)
def test_the_simulators_controls_are_not_reachable(door, path):
    answer = door.call("PUT", path, b"{}")

    assert (answer.status, answer.json()) == (404, {"detail": "Not Found"})
    assert door.legacy.heard() == []


def test_v2_goes_to_ingest_alone_whoever_owns_the_robot(door):
    body = json.dumps({"robot_id": "on-legacy"})
    answers = [door.call("POST", f"/api/v2/{name}", body) for name in ("heartbeat", "heartbeats", "enrol")]
    answers.append(door.call("GET", "/api/v2/ping/on-legacy"))

    assert [answer.system for answer in answers] == ["new"] * 4
    assert "x-side" not in door.new.heard()[0]["headers"]
    assert door.legacy.heard() == []


def test_v2_is_refused_with_a_hint_until_new_is_in_play(door):
    door.route(RoutePlan.preparation())

    for path in ("/api/v2/heartbeat", "/api/v2/heartbeats", "/api/v2/enrol", "/api/v2/ping/x", "/ws/robot/x"):
        answer = door.call("POST", path, b"{}")
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
        assert answer.headers["content-type"] == "application/json"
        assert "legacy call" in answer.json()["detail"]
    assert door.new.heard() == []


#: as in an emergency, but for the latch
NO_V2 = RoutePlan("shadow", 0, shadow=True, failover_to_new=False, accept_v2=False)


@pytest.mark.parametrize(("plan", "told"), [(NO_V2, "refused"), (RoutePlan.shadowing(), None)])
def test_new_is_told_while_v2_is_refused_so_that_it_takes_every_legacy_call(door, plan, told):
    door.route(plan)
    door.beat("on-legacy")

    copy = wait_for(lambda: copies(door.new))[0]

    assert copy["headers"].get("x-v2") == told


def test_a_download_is_looked_for_on_the_other_side_and_never_cut(door):
    package = "/api/download/dep_1"
    door.legacy.behave(statuses={package: 404})
    door.site.behave(pieces=3, pause_seconds=1.7)

    answer = door.call("GET", package)

    assert (answer.status, answer.system, len(answer.body)) == (200, "new", 3000)
    door.site.behave(statuses={package: 404})
    assert door.call("GET", package).status == 404


def test_before_new_is_in_play_a_download_is_legacys_alone(door):
    door.route(RoutePlan.preparation())
    door.legacy.behave(statuses={"/api/download/dep_1": 404})

    answer = door.call("GET", "/api/download/dep_1")

    assert (answer.status, answer.system) == (404, "legacy")
    assert door.site.heard() == []


@pytest.mark.parametrize(("owner", "other"), [("new", "legacy"), ("legacy", "new")])
@pytest.mark.parametrize("call", [STATUS, CHECK])
def test_the_other_system_hears_the_same_call_under_the_same_id(door, owner, other, call):
    if call == STATUS:
        answer = door.beat(f"on-{owner}")
    else:
        answer = door.call("GET", f"{CHECK}?robot_id=on-{owner}&current_version=1")
    heard, copied = getattr(door, owner), getattr(door, other)
    wait_for(lambda: copies(copied, call))

    primary, copy = heard.heard(call)[0], copies(copied, call)[0]
    assert (answer.status, answer.system) == (200, owner)
    assert primary["headers"]["x-side"] == copy["headers"]["x-side"] == owner
    assert primary["headers"]["x-request-id"] == copy["headers"]["x-request-id"] == answer.headers["x-request-id"]
    assert "x-shadow" not in primary["headers"]
    for part in ("method", "path", "sha256"):
        assert primary[part] == copy[part]
    assert primary["headers"]["host"] == copy["headers"]["host"]


MARKS = {
    "x_side": "new",
    "x_v2": "refused",
    "x_shadow": "1",
    "x_robot_bucket": "0",
    "x_robot_pin": "new",
    "x_robot_kind": "xle",
    "x_robot_site": "a",
}


def test_marks_that_a_robot_forges_have_no_effect(door):
    forged = str(uuid.uuid4())

    answer = door.call("POST", STATUS, json.dumps({"robot_id": "on-legacy"}), x_request_id=forged, **MARKS)

    headers = door.legacy.heard(STATUS)[0]["headers"]
    assert answer.system == "legacy"
    assert answer.headers["x-request-id"] == headers["x-request-id"] != forged
    assert headers["x-side"] == "legacy"
    assert headers["x-robot-bucket"] != "0"
    assert not {"x-shadow", "x-v2", "x-robot-kind", "x-robot-site"} & set(headers)


def test_marks_with_underscores_have_no_effect_either(door):
    with socket.create_connection(("127.0.0.1", door.ports["ROBOTS_DOOR_PORT"])) as robot:
        robot.sendall(b"GET /api/robots HTTP/1.1\r\nhost: x\r\nx_side: new\r\nconnection: close\r\n\r\n")
        assert b" 200 " in robot.recv(65536)

    assert "x_side" not in door.legacy.heard()[0]["headers"]


@pytest.mark.parametrize(
    ("path", "system"),
    [
        ("/api/v2/heartbeat", "new"),
        ("/api/v2/heartbeats", "new"),
        ("/api/v2/ping/x", "new"),
        ("/api/v2/enrol", "new"),
        (STATUS, "new"),
        (CHECK, "new"),
        ("/ws/x", "live"),
        ("/", "site"),
        ("/admin/", "site"),
        ("/api/v2/health", "site"),
        ("/api/robots", "site"),
    ],
)
def test_the_own_door_leads_to_new_alone_and_believes_no_marks(door, path, system):
    forged = str(uuid.uuid4())
    with door.robot("OWN_DOOR_PORT") as browser:
        answer = browser.call("POST", path, b"{}", x_request_id=forged, **MARKS)

    headers = getattr(door, system).heard(path)[0]["headers"]
    assert (answer.status, answer.system) == (200, "new")
    assert answer.headers["x-request-id"] == headers["x-request-id"] != forged
    assert not {name for name in headers if name.startswith("x-robot-")} | (
        {"x-side", "x-shadow", "x-v2"} & set(headers)
    )
    assert door.legacy.heard() == []


def handshake(port, path):
    """Open a WebSocket and echo one message; returns the status line and the echo."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as browser:
        upgrade = (
            "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: eA==\r\n"
        )
        browser.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n{upgrade}\r\n".encode())
        head = browser.recv(65536)
        if b" 101 " in head:
            browser.sendall(b"hello")
            return head, browser.recv(65536)
        return head, b""


@pytest.mark.parametrize(
    ("port", "path", "system"),
    [
        ("ROBOTS_DOOR_PORT", "/ws/robot/?robot_id=on-legacy", "new"),
        ("ROBOTS_DOOR_PORT", "/ws", "legacy"),
        ("OWN_DOOR_PORT", "/ws/robot/", "new"),
        ("OWN_DOOR_PORT", "/ws/fleet/", "live"),
    ],
)
def test_sockets_reach_their_system_and_nobody_hears_a_copy(door, port, path, system):
    head, echo = handshake(door.ports[port], path)

    assert (head.split(b" ")[1], echo) == (b"101", b"hello")
    assert {each.name: len(each.heard()) for each in door.systems if each.heard()} == {system: 1}


def test_a_robots_socket_is_refused_while_v2_is(door):
    door.route(RoutePlan.preparation())

    head, _ = handshake(door.ports["ROBOTS_DOOR_PORT"], "/ws/robot/")

    assert b" 503 " in head
    assert b"retry-after: 30" in head


FIVE_MEGABYTES = b'{"message": "%s", "robot_id": "on-legacy"}' % (b"x" * 5_000_000)
ODD_BODIES = {
    "invalid JSON": (b'{"robot_id": ', {}),
    "an array": (b'[{"robot_id": "on-legacy"}]', {}),
    "a string": (b'"on-legacy"', {}),
    "nothing": (b"", {}),
    "NaN": (b'{"robot_id": "on-legacy", "health": NaN}', {}),
    "bad UTF-8": (b'{"robot_id": "on-legacy", "message": "\xff"}', {}),
    "deep nesting": (b'{"robot_id": "on-legacy", "health": %s%s}' % (b"[" * 5000, b"]" * 5000), {}),
    "gzip": (gzip.compress(b'{"robot_id": "on-legacy"}'), {"content_encoding": "gzip"}),
    "another type": (b'{"robot_id": "on-legacy"}', {"content_type": "text/plain"}),
    "5 MB": (FIVE_MEGABYTES, {"content_type": "application/json"}),
}


@pytest.mark.parametrize("kind", ODD_BODIES)
def test_an_odd_body_reaches_legacy_unchanged_and_legacys_answer_comes_back(door, kind):
    body, headers = ODD_BODIES[kind]
    door.legacy.behave(status=422)

    answer = door.call("POST", STATUS, body, **headers)

    heard = door.legacy.heard(STATUS)[0]
    assert (answer.status, answer.system) == (422, "legacy")
    assert (heard["bytes"], heard["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert heard["headers"].get("content-encoding") == headers.get("content_encoding")


def test_a_chunked_body_of_a_robot_of_new_is_read_and_passed_on(door):
    body = json.dumps({"robot_id": "ON-new"}).encode()
    with door.robot() as robot:
        robot._connection.request("POST", STATUS, iter([body[:7], body[7:]]), encode_chunked=True)
        answer = robot._connection.getresponse()

    assert answer.headers["x-answered-by"] == "new"
    assert door.new.heard(STATUS)[0]["sha256"] == hashlib.sha256(body).hexdigest()


def test_an_old_client_is_served(door):
    with socket.create_connection(("127.0.0.1", door.ports["ROBOTS_DOOR_PORT"])) as robot:
        robot.sendall(b"GET /api/check-update?robot_id=on-new HTTP/1.0\r\n\r\n")
        answer = robot.recv(65536)

    assert b" 200 " in answer
    assert b"x-answered-by: new" in answer


def test_a_robot_cannot_tell_the_door_from_its_system(door):
    answer = door.beat("on-legacy")

    assert answer.headers["server"] == "stub"
    assert not [name for name in answer.headers if name.startswith("x-envoy")]


@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        "//admin/",
        "/api/v2/robots",
        "/api/%76%32/robots",
        "/api/%762/robots",
        "/api/V2/robots",
        "/api/robots/../v2/robots",
        "/api//v2/robots",
        "/api/validation/robot-count",
        "/metrics",
        "/login/",
        "/",
    ],
)
def test_when_everything_has_moved_only_legacys_calls_reach_the_site(door, path):
    door.route(RoutePlan.split(100))
    door.site.forget()

    answer = door.call("GET", path)

    assert answer.status == 404
    assert door.site.heard() == []
    assert door.call("GET", "/api/info").system == "new"
