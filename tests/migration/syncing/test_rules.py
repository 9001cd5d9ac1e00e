"""What is decided without a database: mapping, matching, verdicts, pace, what legacy can be told of deployments."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.rules.deploying_back import made_by_legacy, told_back
from migration.rules.mapping import SourceRow, Unmappable, map_older_row, map_row
from migration.rules.matching import How, kind_word, known, match
from migration.rules.pacing import Wishes, pace
from migration.rules.split import Side
from migration.rules.syncing import Held, Verdict, is_owed_to_legacy, judge

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SAID = {"status": "idle", "version": "v1", "deployment_id": None, "message": None, "health": None}


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("robot_id", "id", "status", "health", "version", "message", "last_seen", "current_version", "group", "type")


@given(JSON | st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_whatever_legacy_lists_is_mapped_or_has_a_reason(row):
    for mapping in (map_row, map_older_row):
        try:
            mapped = mapping(row, NOW)
        except Unmappable as unmappable:
            mapped = str(unmappable)
        assert isinstance(mapped, SourceRow) or mapped


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("running", "online"),
        ("stopped", "offline"),
        ("updating", "deploying"),
        ("failed", "error"),
        ("unknown", "offline"),
    ],
)
def test_the_older_contract_speaks_its_own_words(word, status):
    row = map_older_row({"id": "a", "ip_address": "10.0.0.1", "status": word, "last_seen": NOW.isoformat()}, NOW)

    assert (row.said["status"], row.health_is_known) == (status, False)


def test_an_address_that_stands_for_an_id_is_joined_by_the_match_table_or_waits():
    listed = {"ip_address": "10.0.0.1", "status": "running", "last_seen": NOW.isoformat()}

    assert map_older_row(listed, NOW, {"10.0.0.1": "Lekiwi_1"}).robot_id == "Lekiwi_1"
    with pytest.raises(Unmappable, match=r"only the address 10\.0\.0\.1"):
        map_older_row(listed, NOW)


@given(
    legacy=st.floats(0, 100),
    new=st.none() | st.floats(0, 100),
    mirrored=st.booleans(),
    echo=st.booleans(),
    status=st.sampled_from(["idle", "failed"]),
)
def test_a_robot_of_new_is_never_taken_from_legacy_once_new_knows_it(legacy, new, mirrored, echo, status):
    row = SourceRow("a", ago(legacy), {**SAID, "status": status}, None)
    held = None if new is None else Held(ago(new), SAID, None)

    verdict = judge(row, held, owner=Side.NEW, is_echo=echo, read_at=NOW, mirrored=mirrored)

    assert held is None or verdict is not Verdict.TAKE


@given(legacy=st.floats(0, 100), new=st.floats(0, 100), mirrored=st.booleans())
def test_older_data_never_wins_and_newer_is_never_forgotten(legacy, new, mirrored):
    row = SourceRow("a", ago(legacy), {**SAID, "status": "failed"}, None)

    verdict = judge(row, Held(ago(new), SAID, None), owner=Side.LEGACY, is_echo=False, read_at=NOW, mirrored=mirrored)

    if row.at <= ago(new):
        assert verdict is Verdict.HEARD
    else:
        assert verdict in (Verdict.TAKE, Verdict.ON_ITS_WAY)
        assert verdict is Verdict.TAKE or mirrored


def test_a_change_within_the_slack_of_the_clocks_is_not_lost():
    row = SourceRow("a", ago(10.0), {**SAID, "status": "failed"}, None)

    same = judge(row, Held(ago(10.3), row.said, None), owner=Side.LEGACY, is_echo=False, read_at=NOW, mirrored=True)
    other = judge(row, Held(ago(10.3), SAID, None), owner=Side.LEGACY, is_echo=False, read_at=NOW, mirrored=True)

    assert (same, other) == (Verdict.HEARD, Verdict.TAKE)


def test_a_copy_that_may_be_on_its_way_is_not_owed_yet():
    assert not is_owed_to_legacy(ago(0.5), ago(9), read_at=NOW)
    assert is_owed_to_legacy(ago(1.5), ago(9), read_at=NOW)
    assert is_owed_to_legacy(ago(1.5), None, read_at=NOW)
    assert not is_owed_to_legacy(ago(1.5), ago(1.6), read_at=NOW)


def test_an_address_is_matched_by_the_strongest_evidence_and_ambiguity_is_not_guessed():
    robots = known(
        [("Lekiwi_B827EB5A", "10.0.0.9"), ("XLE_0000EB5A", ""), ("Lekiwi_00000001", "10.0.0.7")], {"10.0.0.1": "Hand"}
    )

    assert match("10.0.0.1", "lekiwi_EB5A", "", robots).how is How.BY_HAND
    assert match("10.0.0.2", "lekiwi_eb5a", "", robots).robot_id == "Lekiwi_B827EB5A"
    assert match("10.0.0.3", "", "dc:a6:b8:27:eb:5a", robots).how is How.MAC
    assert match("10.0.0.7", "", "", robots).robot_id == "Lekiwi_00000001"
    ambiguous = match("10.0.0.4", "pi_eb5a", "", robots)
    assert (ambiguous.robot_id, set(ambiguous.candidates)) == (None, {"Lekiwi_B827EB5A", "XLE_0000EB5A"})
    assert match("10.0.0.5", "", "", robots).reason == "no robot is known by hostname (none) or address 10.0.0.5"


def test_a_kind_is_told_by_the_word_then_the_hostname_then_the_subnet():
    assert kind_word("xlerobot", "lekiwi_1", "192.168.1.4") == "xle"
    assert kind_word("", "Lekiwi_1", "192.168.50.4") == "lekiwi"
    assert kind_word("", "raspberrypi", "192.168.50.4") == "xle"
    assert kind_word("", "", "10.0.0.1") == ""


def test_legacy_is_asked_less_when_it_slows_down_and_the_page_says_why():
    wishes = Wishes(interval_seconds=0.5, calls_per_second=500)

    assert pace(wishes, 0.05, 0.01, silent=False).because == ""
    slow = pace(wishes, 0.6, 0.01, silent=False)
    assert (slow.pause_seconds, slow.because) == (2.4, "legacy takes 0.60 s to list its rows: read every 2.4 s")
    answers = pace(wishes, 0.05, 0.5, silent=False)
    assert answers.calls_per_second == 250
    assert "250 of 500 calls/s" in answers.because
    assert pace(Wishes(paused=True), None, None, silent=False).because == "paused by an operator"


def test_back_goes_what_legacys_api_can_say_and_the_rest_is_listed():
    old = {"id": "dep_1", "timestamp": "2026-01-01T00:00:00"}
    again = {"id": "dep_2", "is_rollback": True, "message": "Rollback to v1 (dep_1)", "timestamp": "2026-02-01"}
    fresh = {"id": "dep_3", "message": "release", "timestamp": "2026-03-01"}

    sayable, unsayable = told_back([old, again, fresh], [old], mapped=[])

    assert [(one.new_id, one.target_id) for one in sayable] == [("dep_2", "dep_1")]
    assert unsayable == ["dep_3"]
    assert told_back([old, again], [old], mapped=["dep_2"]) == ([], [])
    made = {**again, "id": "dep_9"}
    assert made_by_legacy("dep_1", "2026-01-31", [old, made], taken=[]) == "dep_9"
    assert made_by_legacy("dep_1", "2026-01-31", [old, made], taken=["dep_9"]) is None
