import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartbeat.rules.identity import LONGEST_KEY, bucket_of, displayable, key_of, row_key_of

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize("robot_id", ["Lekiwi_5A3F", "LEKIWI_5A3F", "lekiwi_5a3f"])
def test_spellings_of_one_robot_share_its_bucket_and_key(robot_id: str) -> None:
    assert bucket_of(robot_id) == zlib.crc32(b"lekiwi_5a3f") % 10_000
    assert key_of(robot_id) == b"lekiwi_5a3f"


def test_bytes_are_lowered_and_not_characters() -> None:
    assert bucket_of("Robot_É") == zlib.crc32("robot_É".encode()) % 10_000
    assert key_of("\u212a") != key_of("k")  # the Kelvin sign


@pytest.mark.parametrize("robot_id", ["", "x" * 129, "ä" * 65, "a\nb", "a\x00", "a\x7f"])
def test_such_an_id_has_no_bucket(robot_id: str) -> None:
    assert bucket_of(robot_id) is None


@given(ANY_TEXT)
def test_every_text_has_keys_that_fit_an_index(robot_id: str) -> None:
    assert len(key_of(robot_id * 300)) <= LONGEST_KEY
    assert len(row_key_of(robot_id * 300)) <= LONGEST_KEY


def test_long_ids_that_differ_at_their_end_are_two_robots() -> None:
    assert key_of("x" * 5_000 + "a") != key_of("x" * 5_000 + "b")
    assert key_of("x" * 5_000 + "A") == key_of("x" * 5_000 + "a")
    assert row_key_of("x" * 5_000 + "A") != row_key_of("x" * 5_000 + "a")


@given(ANY_TEXT)
def test_what_is_displayed_can_be_stored(text: str) -> None:
    shown = displayable(text)

    assert "\x00" not in shown
    shown.encode()
    assert len(shown) == len(text)


def test_ordinary_text_is_displayed_as_it_is() -> None:
    assert displayable("grüße 🤖") == "grüße 🤖"
    assert displayable("a\x00\ud83d") == "a\u2400\ufffd"
