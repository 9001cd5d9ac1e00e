"""The table by which the door tells cohorts apart: bounded, and nothing that a robot chose gets into it unquoted."""

import re

from hypothesis import given
from hypothesis import strategies as st

from migration.rules.cohort_table import (
    MOST_COHORTS,
    MOST_ROBOTS,
    OTHER,
    UNKNOWN,
    cohort_source,
    names_in,
    table_of,
    tag_of,
)

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(NAMES, NAMES)
def test_a_tag_is_plain_and_says_kind_and_site(kind, site):
    tag = tag_of(kind, site)

    assert re.fullmatch(r"[a-z0-9_-]+", tag)
    named = names_in(tag)
    assert OTHER in named or named == (kind, site)


def test_names_that_differ_in_case_or_in_a_line_are_cohorts_of_their_own():
    assert len({tag_of("xle", site) for site in ("A", "a", "a_", "_a", "a__b", "_other", "")}) == 7
    assert names_in(tag_of("xle", "a__b")) == ("xle", "a__b")


def test_robots_that_the_table_does_not_name_are_unknown():
    assert names_in(UNKNOWN) == (UNKNOWN, "")


def test_more_cohorts_than_can_be_told_apart_lose_their_sites_before_their_kinds():
    robots = [(b"%d-%d" % (site, n), ("xle", "lekiwi")[n % 2], f"s{site}") for site in range(60) for n in range(9)]
    robots += [(b"big-%d" % n, "xle", "hall") for n in range(40)]

    table = table_of(robots)

    assert len(set(table.values())) <= MOST_COHORTS
    assert {names_in(tag)[0] for tag in table.values()} == {"xle", "lekiwi"}
    assert table[b"big-0"] == tag_of("xle", "hall")
    assert ("lekiwi", OTHER) in {names_in(tag) for tag in table.values()}


def test_no_number_of_invented_kinds_makes_more_cohorts():
    table = table_of((b"%d" % n, f"kind-{n % 300}", f"site-{n % 7}") for n in range(2_100))

    assert len(set(table.values())) <= MOST_COHORTS


def test_a_fleet_too_large_for_the_table_is_cut():
    assert len(table_of((b"%d" % n, "xle", "") for n in range(MOST_ROBOTS + 5))) == MOST_ROBOTS


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5, unique=True))
def test_no_id_gets_into_the_source_as_it_is(keys):
    source = cohort_source(dict.fromkeys(keys, "xle__a"), "[==[\n@COHORTS@\n]==]", 7)

    text = source["resources"][0]["typed_config"]["default_source_code"]["inline_string"]
    assert re.fullmatch(r"\[==\[\n(xle__a\t[A-Za-z0-9_.~%-]+\n?)*\n?\]==\]", text)
    assert source["version_info"] == "7"
