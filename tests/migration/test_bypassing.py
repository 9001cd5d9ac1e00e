from hypothesis import given
from hypothesis import strategies as st

from migration.rules.bypassing import Watched, bypassers

NAMES = st.frozensets(st.text("ab1", min_size=1, max_size=3), max_size=20)


@given(through=NAMES, around=NAMES, more_calls=st.integers(0, 5))
def test_robots_that_all_use_the_door_are_never_accused(through, around, more_calls):
    watched = Watched(through, len(through) + more_calls, heard_by_new=None)

    assert bypassers(watched).at_least == 0
    known = Watched(through, 0, heard_by_new=frozenset(name.lower() for name in through))
    assert bypassers(known).names == ()


@given(through=NAMES, around=NAMES)
def test_whoever_new_did_not_hear_is_named(through, around):
    around -= through
    watched = Watched(through | around, len(through), heard_by_new=through)

    assert set(bypassers(watched).names) == around
    assert bypassers(Watched(through | around, len(through), None)).at_least == len(around)


def test_the_sentence_names_five_and_counts_the_others():
    many = frozenset(f"r{number}" for number in range(8))

    assert bypassers(Watched(many, 0, None)).sentence == (
        "8 robots call legacy without the door: r0, r1, r2, r3, r4 and 3 more"
    )
    assert bypassers(Watched(many, 6, None)).sentence.startswith(
        "at least 2 robots call legacy without the door, among"
    )
