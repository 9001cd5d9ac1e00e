from hypothesis import given, settings
from hypothesis import strategies as st

from migration.rules.comparing import Difference, differences, never_met
from migration.rules.consistency import CohortConsistency, by_cohort
from migration.rules.digests import digests_of, unequal
from migration.rules.pairing import by_id, can_be_read_alone
from tests.migration.two_systems import row

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, width=16) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
ROWS = st.dictionaries(st.sampled_from(["status", "message", "health", "future field"]), VALUES, max_size=4)
FLEETS = st.dictionaries(st.text(min_size=1, max_size=4), ROWS, max_size=8)
AT = "2026-11-24T09:00:00.000000"


@settings(max_examples=50)
@given(FLEETS, FLEETS)
def test_digests_differ_exactly_where_a_field_does(one, other):
    buckets = unequal(digests_of(one), digests_of(other))

    different = any(differences(name, one.get(name), other.get(name)) for name in {*one, *other})
    # legacy's own word for a silent robot is no difference of what the robot said
    if not any(fleet.get("health") == "offline" for fleet in (*one.values(), *other.values())):
        assert bool(buckets) == different


@settings(max_examples=25)
@given(FLEETS, st.randoms())
def test_the_order_of_rows_does_not_matter_to_a_digest(fleet, random):
    names = list(fleet)
    random.shuffle(names)

    assert digests_of({name: fleet[name] for name in names}) == digests_of(fleet)


def test_every_field_is_compared_also_one_that_nobody_knew():
    assert differences("r", {"status": "idle", "extra": 1}, {"status": "idle"}) == [Difference("r", "extra", 1, None)]
    assert [one.field for one in differences("r", {"message": 1}, {"message": True})] == ["message"]
    assert [one.field for one in differences("r", {"message": None}, {})] == ["message"]


def test_clock_fields_get_bounds_instead_of_equality():
    at = {"last_seen": AT}

    assert differences("r", at, {"last_seen": "2026-11-24T09:00:01.900000"}) == []
    assert [one.field for one in differences("r", at, {"last_seen": "2026-11-24T09:00:02.100000"})] == ["last_seen"]
    assert [one.field for one in differences("r", at, {"last_seen": None})] == ["last_seen"]


def test_what_one_system_says_later_than_the_other_was_on_its_way():
    moving = [({"status": "idle"}, {"status": "failed"}), ({"status": "deploying"}, {"status": "idle"})]

    assert never_met("r", moving) == []
    assert [one.field for one in never_met("r", [({"status": "a"}, {"status": "b"})] * 3)] == ["status"]


def test_a_row_that_arrives_while_it_is_read_again_is_no_difference():
    assert never_met("r", [({"status": "idle"}, None), ({"status": "idle"}, {"status": "idle"})]) == []
    assert never_met("r", [({}, None), ({}, None)]) == [Difference("r", "row", "present", "absent")]
    assert never_met("r", [(None, {}), (None, None)]) == []


def test_legacys_own_word_for_a_silent_robot_is_not_what_the_robot_said():
    assert differences("r", {"health": "offline"}, {"health": {"services": {}}}) == []
    assert [one.field for one in differences("r", {"health": {}}, {"health": "offline"})] == ["health"]


def test_rows_without_an_id_find_each_other_by_what_they_say_and_when():
    legacy = [row(None, seconds_ago=30), row(None, seconds_ago=300), row(None, group="b")]
    new = [row(None, group="b", seconds_ago=0.4), row(None, seconds_ago=300.3)]

    ours, theirs = by_id(legacy, new)

    assert len(ours) == 3
    assert len(theirs) == 2
    assert [name for name in ours if differences(name, ours[name], theirs.get(name))] == [
        name for name in ours if name not in theirs
    ]


def test_two_spellings_of_one_robot_are_two_rows():
    ours, _ = by_id([row("Lekiwi_1"), row("LEKIWI_1")], [])

    assert len(ours) == 2


def test_an_id_that_a_path_cannot_name_is_read_with_all_others():
    assert can_be_read_alone("Lekiwi 1?#%")
    assert not any(map(can_be_read_alone, ["", "a/b", "..", '(row without an id ["v1","all"], 1)']))


def test_consistency_is_told_for_each_cohort():
    members = [("a", "lekiwi", "x"), ("b", "lekiwi", "x"), ("c", "xle", "")]

    assert by_cohort(members, {"b"}) == [CohortConsistency("lekiwi", "x", 2, 1), CohortConsistency("xle", "", 1, 1)]
    assert by_cohort(members, {"b"})[0].percent == 50.0
    many = by_cohort([(str(n), "lekiwi", f"site {n}") for n in range(100)], ())
    assert len(many) <= 41
    assert sum(cohort.rows for cohort in many) == 100
