"""Numbers read from the text of motors are those that a parser reads; what is written otherwise is left to it."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

from heartbeat.ingest.motors import Layout, layout_of
from heartbeat.ingest.schema import Invalid, Motor, motors_in
from heartbeat.rules.reporting import CHANNELS, motor_numbers

Told = tuple[tuple[int, tuple[int, ...] | None], ...]

JOINTS = [
    {"id": 1, "name": "arm_shoulder_pan", "position_degrees": 12.5, "temperature_celsius": 41},
    {"id": 2, "name": "arm_gripper", "position_degrees": -3.25, "temperature_celsius": 40},
    {"id": 7, "name": "base_left_wheel", "velocity": 0.0, "status": 8},
]
numbers = st.floats(-1e9, 1e9, allow_nan=False).map(lambda number: float(f"{number:.6f}")) | st.integers(-999, 999)
motor = st.fixed_dictionaries(
    {"id": st.integers(0, 253)},
    optional={
        "name": st.sampled_from(
            ["arm_shoulder_pan", "head_motor_1", "head_motor_2", "1e5", "a1", "1a", "a:b", "c,d", "ä", ""]
        ),
        **dict.fromkeys(CHANNELS[:-1], numbers | st.none()),
        "status": st.integers(0, 255),
        "torque": numbers | st.sampled_from(["high", "", [1, 2], {"a": 1}, True]),
    },
)


def read(text: bytes) -> tuple[list[tuple[int, str | None]], Told, list[float]]:
    """What a parser reads: who the motors are, what they tell, and the numbers."""
    motors = motors_in(text)
    if not motors:
        return [], (), []
    _, _, *columns = zip(*map(astuple, motors), strict=True)
    known, told = motor_numbers(columns)
    return [(one.id, one.name) for one in motors], told, known


def layout_in(text: bytes) -> Layout | None:
    _, told, _ = read(text)
    return layout_of(text, told)


def written(motors: Sequence[dict[str, Any]], *, spaced: bool = False) -> bytes:
    return json.dumps(motors, separators=None if spaced else (",", ":")).encode()


def floats_in(text: str) -> list[float]:
    return [float(number) for number in text.split(",") if number]


@given(st.lists(motor, max_size=4), st.booleans())
def test_what_a_layout_was_learnt_from_is_read_as_a_parser_reads_it(motors: list[dict[str, Any]], spaced: bool) -> None:
    text = written(motors, spaced=spaced)
    layout = layout_in(text)
    assume(layout is not None)
    assert layout is not None

    found = layout.numbers_in(text)

    assert found is not None
    assert floats_in(found) == read(text)[2]


@settings(max_examples=1_000)
@given(st.data(), st.lists(motor, min_size=1, max_size=3))
def test_whatever_else_is_read_by_a_layout_is_what_a_parser_reads(
    data: st.DataObject, motors: list[dict[str, Any]]
) -> None:
    known = written(motors)
    layout = layout_in(known)
    assume(layout is not None)
    assert layout is not None
    text = bytearray(known)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        if data.draw(st.booleans()):
            text.insert(place, data.draw(st.sampled_from(b'0123456789.+-e,:"')))
        else:
            del text[place]
    try:
        msgspec.json.decode(bytes(text))
    except msgspec.DecodeError:
        return  # it comes from a decoder

    found = layout.numbers_in(bytes(text))

    if found is not None:
        motors_before, told_before, _ = read(known)
        assert read(bytes(text)) == (motors_before, told_before, floats_in(found))


@pytest.mark.parametrize(
    ("of", "by"),
    [
        (b'"id":2', b'"id":3'),
        (b"arm_gripper", b"arm_gripper2"),
        (b'"velocity"', b'"velocity2"'),
        (b'"velocity"', b'"ve.locity"'),
        (b":12.5", b":null"),
        (b":12.5", b":1e5"),
        (b":12.5", b":" + b"9" * 31),
        (b":12.5", b':12.5,"voltage_volts":12.1'),
        (b'"status"', b'"status2"'),
        (b'"status":8', b'"status":256'),
        (b'"status":8', b'"status":-1'),
        (b'"status":8', b'"status":8.5'),
        (b"arm_gripper", b"arm_gr\\u0069pper"),
    ],
)
def test_another_layout_is_left_to_the_parser(of: bytes, by: bytes) -> None:
    known = written(JOINTS)
    layout = layout_in(known)
    assert layout is not None
    assert layout.numbers_in(known) == "12.5,-3.25,0.0,41,40,8"

    assert layout.numbers_in(known.replace(of, by)) is None


@pytest.mark.parametrize(
    "motors",
    [
        [{"id": 1, "velocity": 1e-9}],
        [{"id": 1, "velocity": 1.0, "limits": [1, 2]}],
        [{"id": 1, "name": "a,b", "velocity": 1.0}],
        [{"id": 1, "pos1": 5, "velocity": 1.0}],
        [{"a1": 5, "id": 1, "velocity": 1.0}],
        [{"id": 1, "a:b": 5, "velocity": 1.0}],
        [{"id": 1, "name": "a1b"}, {"id": 2, "name": "ab1"}],
        [{"id": 1, "name": "a1", "note": "a"}],
    ],
)
def test_what_could_be_taken_for_something_else_has_no_layout(motors: list[dict[str, Any]]) -> None:
    assert layout_in(written(motors)) is None


def test_the_first_member_is_no_exception() -> None:
    known = written([{"velocity": 1.5, "id": 1}])
    layout = layout_in(known)
    assert layout is not None
    assert layout.numbers_in(known) == "1.5"

    assert layout.numbers_in(known.replace(b'"velocity"', b'"velocity2"')) is None


def test_names_with_digits_are_the_same_or_it_is_another_layout() -> None:
    heads = [{"id": 1, "name": "head_motor_1", "velocity": 1.5}, {"id": 2, "name": "head_motor_2", "velocity": 2.5}]
    known = written(heads)
    layout = layout_in(known)
    assert layout is not None

    assert layout.numbers_in(known.replace(b"1.5", b"7")) == "7,2.5"
    for of, by in ((b"motor_1", b"motor1_"), (b"motor_2", b"motor_3"), (b"motor_2", b"2motor_")):
        assert layout.numbers_in(known.replace(of, by)) is None


def test_a_fault_is_named_by_motor_and_field() -> None:
    with pytest.raises(Invalid) as refused:
        motors_in(msgspec.json.encode([{"id": 1}, {"id": 2, "velocity": "fast"}]))

    assert (refused.value.field, "float" in refused.value.reason) == ("motors[1].velocity", True)
    assert motors_in(b"[]") == []
    assert motors_in(b'[{"id":1}]') == [Motor(1)]
