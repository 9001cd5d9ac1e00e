"""Requests that nobody recorded: what the simulated legacy server answers to them is the measure, live.

Each scenario begins on an empty system; `deployed` ones with the recorded five deployments.
"""

from typing import Any

from tests.contract.asking import JSON, ORIGIN, ROBOTS, Scenario, get, rollback
from tests.contract.more_heartbeats import HEARTBEAT_SCENARIOS
from tests.contract.wire import Request


def _update_checks() -> list[Scenario]:
    queries = (
        "robot_id=a&robot_id=b&current_version=v",
        "robot_id=&current_version=",
        "robot_id=q&current_version=v1.2.0&group=",
        "robot_id=q&current_version=v1.2.0&group=xle",
        "robot_id=q&current_version=v1.2.0&group=XLE",
        "robot_id=q&current_version=v1.2.0&group=xle&group=all",
        "robot_id=q&current_version=v1.2.0&unknown=1",
        "robot%5Fid=q&current_version=v",
        "robot_id=a+b%2Bc&current_version=v%201",
        "robot_id=%ff&current_version=%zz",
        "robot_id=q;current_version=v",
        "robot_id=nul%00&current_version=v%00&group=%00",
        "Robot_Id=q&current_version=v",
        "robot_id&current_version",
        "robot_id=q&current_version=V1.2.0",
    )
    return [
        Scenario(f"check-update?{query}", (get(f"/api/check-update?{query}"), ROBOTS), deployed=True)
        for query in queries
    ]


def _deployments() -> list[Scenario]:
    queries = ["group=", "group=ALL", "limit=2&limit=1", "limit=1&group=xle", "unknown=1"]
    queries += [
        f"limit={limit}" for limit in ("0", "-1", "-100", "abc", "1.0", "1.5", "", "%205", "%2B5", "1_0", "9" * 25)
    ]
    lists = [Scenario(f"deployments?{query}", (get(f"/api/deployments?{query}"),), deployed=True) for query in queries]
    wishes: dict[str, tuple[Any, ...]] = {
        "null": (None,),
        "an array": ([],),
        "not JSON": (b"{",),
        "nothing": (b"",),
        "wrong types": ({"deployment_id": 5, "version": [], "time_ago": {}, "target_group": None},),
        "a null group": ({"version": "v1.1.0", "target_group": None},),
        "a group and more": ({"version": "v1.1.0", "target_group": "xle", "extra": 1},),
        "an id before a version": ({"deployment_id": "none", "version": "v1.1.0"},),
        "an empty id": ({"deployment_id": "", "version": "v1.1.0"},),
        "the one that is offered": ({"version": "v1.2.0"},),
        "a release without a package": ({"version": "v1.0.0"},),
        "one that is still being built": ({"deployment_id": "dep_dddddddddddd"},),
        "the other kind's": ({"version": "v1.3.0-xle"},),
        "the same twice": ({"version": "v1.1.0"}, {"version": "v1.1.0"}),
        "NUL": ({"version": "a\u0000"}, {"deployment_id": "a\u0000"}),
    }
    for ago in (
        "yesterday",
        "2",
        "x-hours-ago",
        "2-weeks-ago",
        "-1-hours-ago",
        "99999999999-days-ago",
        "0-minutes-ago",
    ):
        wishes[f"time_ago {ago}"] = ({"time_ago": ago},)
    for ago in ("1-hours", "1-hour-2", " 1-days-ago", "1.5-hours-ago", "", "3-Days-ago", "1-hours-ago-ago"):
        wishes[f"time_ago {ago!r}"] = ({"time_ago": ago},)
    after = (
        get("/api/deployments?limit=3"),
        get("/api/info"),
        get("/api/check-update?robot_id=rb&current_version=v0&group=xle"),
    )
    rollbacks = [
        Scenario(f"rollback to {name}", (*(rollback(wish) for wish in bodies), *after), deployed=True)
        for name, bodies in wishes.items()
    ]
    return lists + rollbacks


def _downloads() -> list[Scenario]:
    path = "/api/download/dep_bbbbbbbbbbbb"
    steps = (
        get(path, range="bytes=0-9"),
        get(path, range="bytes=800-9999"),
        get(path, range="bytes=9999-"),
        get("/api/download/"),
        get("/api/download/dep_bbbbbbbbbbbb%2Fx"),
        get("/api/download/nul%00"),
        Request("POST", path),
    )
    return [Scenario("odd downloads", steps, deployed=True)]


def _methods_and_paths() -> list[Scenario]:
    heartbeat = "/api/robot/status"
    wrong = [
        ("HEAD", "/health"),
        ("HEAD", "/api/robots"),
        ("POST", "/health"),
        ("POST", "/api/robots"),
        ("GET", heartbeat),
    ]
    wrong += [
        ("PUT", heartbeat),
        ("DELETE", heartbeat),
        ("HEAD", heartbeat),
        ("OPTIONS", "/api/robots"),
        ("GET", "/api/rollback"),
    ]
    wrong += [
        ("PUT", "/api/deployments"),
        ("OPTIONS", "/api/check-update"),
        ("HEAD", "/api/nothing"),
        ("PATCH", "/api/info"),
    ]
    paths = ["/api/robots/a/b", "/api/robot/", "/api/check-update/?robot_id=a&current_version=v"]
    paths += [
        "/api/deployments/?limit=1",
        "/api/robots/a/",
        "/health?x=1",
        "/api/info/",
        "/api/discovery/status/",
        "/health%2F",
    ]
    scenarios = [Scenario(f"{method} {path}", (Request(method, path),)) for method, path in wrong]
    scenarios += [Scenario(f"GET {path}", (get(path),)) for path in paths]
    scenarios.append(Scenario("POST with a slash behind", (Request("POST", heartbeat + "/", JSON, b"{}"),)))
    scenarios += [Scenario(f"GET {path}", (get(path),), outside=True) for path in ("/API/ROBOTS", "/api")]
    untidy = ("/api//robots", "//api/robots", "/a/../health")
    scenarios += [Scenario(f"GET {path}", (get(path),), direct=True, outside=True) for path in untidy]
    return scenarios


def _cors() -> list[Scenario]:
    def preflight(path: str, **headers: str) -> Request:
        named = {f"access-control-request-{name}": value for name, value in headers.items()}
        return Request("OPTIONS", path, ORIGIN | named)

    steps = {
        "preflight for PUT": preflight("/api/robots", method="PUT"),
        "preflight for an unknown method": preflight("/api/robots", method="FOO"),
        "preflight for an unknown path": preflight("/api/nothing", method="GET", headers="x-a, x-b"),
        "preflight that asks for nothing": Request("OPTIONS", "/api/robots", ORIGIN),
        "origin on a 404": get("/api/robots/none", origin="http://x.example"),
        "origin on a 422": get("/api/check-update", origin="http://x.example"),
        "origin on a redirect": get("/api/robots/", origin="http://x.example"),
        "origin on a 405": Request("POST", "/health", ORIGIN),
        "origin null": get("/health", origin="null"),
        "origin with a cookie": get("/api/robots", origin="http://x.example", cookie="a=b"),
    }
    return [Scenario(name, (step,)) for name, step in steps.items()]


MORE_SCENARIOS: list[Scenario] = [
    *HEARTBEAT_SCENARIOS,
    *_update_checks(),
    *_deployments(),
    *_downloads(),
    *_methods_and_paths(),
    *_cors(),
]
