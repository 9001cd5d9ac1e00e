import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartbeat.rules import identity
from heartbeat.rules.identity import BUCKETS, bucket_of
from migration.rules.split import Side, canonical, owner_of, side_of

ids = st.text(st.characters(codec=None), max_size=140)


@given(ids)
def test_a_bucket_is_the_checksum_of_the_lowered_bytes(robot_id):
    sent = robot_id.encode("utf-8", "surrogatepass")
    usable = 0 < len(sent) <= 128 and not any(byte < 32 or byte == 127 for byte in sent)

    assert bucket_of(robot_id) == (zlib.crc32(sent.lower()) % 10_000 if usable else None)


@given(ids)
def test_the_heartbeat_side_of_the_house_sees_the_same_bucket(robot_id):
    assert bucket_of(robot_id) == identity.bucket_of(robot_id)


def test_bytes_are_lowered_and_not_letters():
    for letter in ("É", "\u212a"):
        assert bucket_of(letter) == zlib.crc32(letter.encode()) % 10_000
        assert bucket_of(letter) != bucket_of(letter.lower())
    assert bucket_of("LEKIWI_5a3f") == bucket_of("lekiwi_5A3F")


@pytest.mark.parametrize(
    ("robot_id", "why"),
    [
        ("", "the id is empty"),
        ("x" * 129, "over 128 bytes"),
        ("é" * 65, "over 128 bytes"),
        ("a\nb", "control characters"),
        ("a\x7f", "control characters"),
    ],
)
def test_an_id_without_a_bucket_is_on_the_default_side_and_says_why(robot_id, why):
    owner = owner_of(robot_id, 50, {})

    assert bucket_of(robot_id) is None
    assert owner.side is Side.LEGACY
    assert why in owner.reason
    assert owner_of(robot_id, 100, {}).side is Side.NEW


def test_an_owner_is_explained():
    bucket = bucket_of("lekiwi_1")

    assert owner_of("lekiwi_1", 100, {}).reason == f"bucket {bucket} is below 10000 (100 %)"
    assert owner_of("lekiwi_1", 0, {}).reason == f"bucket {bucket} is not below 0 (0 %)"
    assert owner_of("LeKiwi_1", 0, {"lekiwi_1": "new"}).reason == "pinned to new"
    assert owner_of("LeKiwi_1", 100, {"lekiwi_1": "legacy"}).side is Side.LEGACY


@given(st.integers(0, BUCKETS - 1), st.integers(0, 100), st.integers(0, 100))
def test_a_robot_that_moved_stays_moved_while_the_split_grows(bucket, one, other):
    smaller, larger = sorted((one, other))

    if side_of(bucket, None, smaller) is Side.NEW:
        assert side_of(bucket, None, larger) is Side.NEW


@pytest.mark.parametrize("percent", [0, 1, 10, 25, 50, 99, 100])
def test_the_share_of_buckets_is_the_percentage(percent):
    moved = sum(side_of(bucket, None, percent) is Side.NEW for bucket in range(BUCKETS))

    assert moved == percent * 100


@given(ids)
def test_the_canonical_spelling_names_the_same_robot(robot_id):
    assert canonical(canonical(robot_id)) == canonical(robot_id)
    assert bucket_of(canonical(robot_id)) == bucket_of(robot_id)
