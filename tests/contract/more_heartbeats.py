"""Heartbeats that nobody recorded: wrong types, odd health, odd bodies, odd ids."""

import json
from typing import Any
from urllib.parse import quote

from tests.contract.asking import ROBOTS, Scenario, beat, get, raw_health, read


def _wrong_types() -> list[Scenario]:
    fine = {"robot_id": "w", "status": "idle"}
    wrong: dict[str, tuple[Any, ...]] = {
        "robot_id": (5, 1.5, True, None, [], {}, ["w"]),
        "status": (5, None, [], {"a": 1}),
        "deployment_id": (5, [], {}, False),
        "version": (1.2, True, []),
        "message": (7, {}, ["x"]),
        "health": ("offline", [], [["a", 1]], 5, True, "null"),
    }
    scenarios = [
        Scenario(f"{field} is {value!r}", (beat({**fine, field: value}), ROBOTS))
        for field, values in wrong.items()
        for value in values
    ]
    everything = {field: values[0] for field, values in wrong.items()}
    return [*scenarios, Scenario("every field is wrong", (beat(everything), ROBOTS))]


def _health() -> list[Scenario]:
    texts = {
        "empty": "{}",
        "with null services": '{"services": null, "timestamp": null}',
        "nested and unordered": '{"z": {"b": [1, {"y": 2, "a": null}]}, "a": true, "": "empty key"}',
        "with repeated keys": '{"a": 1, "b": 2, "a": 3}',
        "with big integers": '{"n": 123456789012345678901234567890, "m": -9223372036854775809}',
        "with floats as Python writes them": '{"a": 1.0, "b": 1e22, "c": 0.1, "d": 1E5, "e": -0.0, "f": 1e-7}',
        "with an infinite number": '{"v": 1e999}',
        "with Infinity": '{"v": [-Infinity, NaN]}',
        "with escaped characters": '{"k\\u00e9\\n": "\\ud83e\\udd16 \\u2028 </script> \\u007f"}',
        "with NUL": '{"k\\u0000": "a\\u0000b"}',
        "with a lone surrogate": '{"v": "\\ud83d"}',
        "with a hundred levels": '{"v": ' + "[" * 100 + "]" * 100 + "}",
        "with a hundred thousand levels": '{"v": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "with an integer of five thousand digits": '{"v": ' + "9" * 5000 + "}",
        "with a timestamp of its own kind": '{"timestamp": "2025-01-29T10:00:00+01:00", "services": {"teleop": 1}}',
    }
    return [Scenario(f"health {name}", (beat(raw_health(text)), read("r"), ROBOTS)) for name, text in texts.items()]


def _bodies() -> list[Scenario]:
    fine = b'{"robot_id":"c","status":"idle"}'
    bodies = {
        "bad UTF-8": b'{"robot_id":"\xff\xfe","status":"idle"}',
        "Latin-1": '{"robot_id":"é","status":"idle"}'.encode("latin-1"),
        "UTF-8 with a mark": b"\xef\xbb\xbf" + fine,
        "UTF-16": fine.decode().encode("utf-16"),
        "blanks": b"  \n ",
        "text after the object": fine + b"x",
        "two objects": fine + fine,
        "single quotes": b"{'robot_id':'c','status':'idle'}",
        "an unquoted word": b'{"robot_id":c}',
        "an open string": b'{"robot_id":"c',
        "a control character": b'{"robot_id":"a\nb","status":"idle"}',
        "a bare number": b"5",
        "a bare true": b"true",
        "a bare NaN": b"NaN",
        "a NaN for the id": b'{"robot_id":NaN,"status":"idle"}',
        "an empty array": b"[]",
        "keys twice": b'{"robot_id":"a","status":"x","robot_id":"b"}',
        "keys in another case": b'{"Robot_ID":"a","STATUS":"x"}',
        "a lone surrogate in the id": b'{"robot_id":"\\ud83d","status":"idle"}',
        "a lone surrogate in the message": b'{"robot_id":"c","status":"idle","message":"\\ud83d"}',
        "NUL in the message": b'{"robot_id":"c","status":"idle","message":"a\\u0000b"}',
        "a long message": json.dumps({"robot_id": "c", "status": "idle", "message": "m" * 500_000}).encode(),
        "gzip": b"\x1f\x8b\x08\x00" + bytes(20),
    }
    scenarios = [Scenario(f"body of {name}", (beat(body), ROBOTS)) for name, body in bodies.items()]
    for kind in (
        "Application/JSON",
        "application/vnd.api+json",
        "text/json",
        "application/problem+json; charset=utf-8",
    ):
        scenarios.append(Scenario(f"content type {kind}", (beat(fine, kind), ROBOTS)))
    for kind in ("multipart/form-data; boundary=x", "application/octet-stream", "json", "", "application/jsonx"):
        scenarios.append(Scenario(f"content type {kind!r}", (beat(fine, kind), ROBOTS)))
    # Bytes that are no text, in a body that is not read as JSON.
    scenarios.append(Scenario("bytes as text", (beat(b"\xff\xfe\x00", "text/plain"), ROBOTS)))
    return scenarios


def _ids() -> list[Scenario]:
    ids = (
        "",
        " ",
        "a b",
        "a+b",
        "a%2Fb",
        "a/b",
        "..",
        "a\nb",
        "ä",
        "É",
        "a?b=c",
        "a&b",
        "nul\u0000id",
        "'; drop--",
        "😀",
    )
    scenarios = []
    for robot_id in ids:
        body = {"robot_id": robot_id, "status": "idle"}
        check = get(f"/api/check-update?robot_id={quote(robot_id, safe='')}&current_version=v1")
        scenarios.append(Scenario(f"id {robot_id!r}", (beat(body), read(robot_id), check, read(robot_id), ROBOTS)))
    order = ("b", "a", "c", "b")
    beats = tuple(beat({"robot_id": robot_id, "status": "idle"}) for robot_id in order)
    return [*scenarios, Scenario("rows keep the order of first sight", (*beats, ROBOTS))]


HEARTBEAT_SCENARIOS: list[Scenario] = [*_wrong_types(), *_health(), *_bodies(), *_ids()]
