import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartbeat.rules.cohorts import Cohort
from heartbeat.rules.pace import Pace, take
from heartbeat.rules.scopes import SCOPES, covers, needed, unknown
from heartbeat.rules.tokens import RANDOM_BYTES, Sort, bearer_in, digest_of, prefix_of, spell

random = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


@given(st.sampled_from(Sort), random, random)
def test_a_token_says_its_sort_fits_into_a_path_and_shares_its_digest_with_no_other(sort, one, other):
    token = spell(sort, one)

    assert re.fullmatch(sort + r"[A-Za-z0-9_-]{43}", token)
    assert prefix_of(token) == token[:12]
    assert len(digest_of(token.encode())) == 32
    assert (digest_of(token.encode()) == digest_of(spell(sort, other).encode())) == (one == other)


def test_a_token_with_too_little_randomness_is_not_made():
    with pytest.raises(ValueError, match="32 random bytes, not 5"):
        spell(Sort.ROBOT, b"short")


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (b"Bearer abc", b"abc"),
        (b"bearer abc", b"abc"),
        (b"BEARER  abc ", b"abc"),
        (b"Bearer ", None),
        (b"Bearer", None),
        (b"Basic abc", None),
        (b"", None),
        (None, None),
    ],
)
def test_a_bearer_token_is_read_in_any_spelling_of_the_scheme(header, token):
    assert bearer_in(header) == token


gaps = st.lists(st.floats(0, 5), min_size=1, max_size=200)


@given(gaps, st.floats(0.5, 100), st.integers(1, 50))
def test_no_stretch_of_time_has_more_calls_than_the_burst_and_its_share(gaps, per_second, burst):
    pace, full_at, now, taken = Pace(per_second, burst), 0.0, 1000.0, []
    for gap in gaps:
        now += gap
        full_at, wait = take(full_at, now, pace)
        if not wait:
            taken.append(now)

    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - taken[first]) * per_second + 1e-3


@given(st.floats(0.5, 100), st.integers(1, 50))
def test_a_rested_caller_may_use_its_whole_burst_and_who_waits_as_told_may_call(per_second, burst):
    pace, full_at, now = Pace(per_second, burst), 0.0, 1000.0
    for _ in range(burst):
        full_at, wait = take(full_at, now, pace)
        assert wait == 0
    full_at, wait = take(full_at, now, pace)

    assert 0 < wait <= pace.step_seconds + 1e-6
    assert take(full_at, now + wait, pace)[1] == 0


@given(st.sets(st.sampled_from(list(SCOPES))), st.sampled_from(list(SCOPES)))
def test_a_scope_is_covered_by_itself_or_by_writing_in_its_area(granted, scope):
    area = scope.partition(":")[0]

    assert covers(granted, scope) == (scope in granted or (scope.endswith(":read") and f"{area}:write" in granted))


def test_only_looking_needs_the_reading_scope():
    assert {needed("robots", method) for method in ("GET", "HEAD", "OPTIONS")} == {"robots:read"}
    assert {needed("robots", method) for method in ("POST", "PUT", "PATCH", "DELETE", "")} == {"robots:write"}
    assert unknown(["robots:read", "robots:*"]) == ["robots:*"]


words = st.sampled_from(["", "a", "b"])


@given(words, words, words, words, words, st.sets(st.sampled_from(["a", "b"])))
def test_a_cohort_holds_the_robots_that_have_all_it_names(kind, site, tag, of_kind, at_site, tags):  # noqa: PLR0917
    held = Cohort(kind, site, tag).holds(of_kind, at_site, tags)

    matches = [not kind or kind == of_kind, not site or site == at_site, not tag or tag in tags]
    assert held == (all(matches) and bool(kind or site or tag))


def test_a_cohort_is_named_in_words():
    assert str(Cohort("xle", "b", "lab")) == "of kind xle at site b tagged lab"
    assert str(Cohort(tag="lab")) == "tagged lab"
