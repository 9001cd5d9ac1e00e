from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.rules import gates, step_gates
from migration.rules.freezing import Freeze, frozen
from migration.rules.phases import PHASES, phase_of
from migration.rules.ramps import Move, next_move, steps_into
from migration.rules.sequential import Evidence, Verdict, about, judge
from migration.rules.settings import InvalidSetting, digest_of, settings_of
from migration.rules.voting import Ballot, Choice, Quorum, Role, consensus, judged_as, why_void
from migration.rules.way_back import WayBack
from tests.migration.test_gates import EQUAL, GOOD

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def test_a_ramp_goes_cohorts_first_then_rises_to_the_phases_split():
    settings = settings_of("rollout_25", {"ramp": [15, 20], "cohorts": ["site=A"]})

    words = [step.words for step in steps_into(phase_of("rollout_25"), settings, 10)]

    assert words == ["site=A at 10 %", "15 %", "20 %", "25 %"]


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(PHASES), st.sets(st.integers(1, 99), max_size=20), st.integers(0, 100))
def test_every_way_into_a_phase_rises_and_ends_at_its_split(phase, ramp, start):
    configured = settings_of(phase.slug, {"ramp": sorted(step for step in ramp if step < phase.percent)})

    percents = [step.percent for step in steps_into(phase, configured, min(start, phase.percent))]

    assert percents == sorted(percents)
    assert percents[-1] == phase.percent


def test_time_alone_never_takes_a_step():
    steps = steps_into(phase_of("rollout_25"), settings_of("rollout_25", {"ramp": [15]}), 10)
    known = {"steps": steps, "reached": 0, "reached_at": NOW, "bake": timedelta(minutes=2)}

    assert next_move(**known, now=NOW + timedelta(minutes=1), held_by=[])[0] is Move.WAIT
    assert next_move(**known, now=NOW + timedelta(days=9), held_by=["3 more needed"]) == (Move.WAIT, "3 more needed")
    assert next_move(**known, now=NOW + timedelta(minutes=2), held_by=[])[0] is Move.STEP


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"quorum": 7}, "quorum"),
        ({"ramp": [20, 15]}, "ramp"),
        ({"ramp": [30]}, "ramp"),
        ({"cohorts": ["color=red"]}, "cohorts"),
        ({"vetoes": ["boss"]}, "vetoes"),
        ({"hooks": [{"name": "x", "url": "file:///etc/passwd"}]}, "hooks"),
        ({"hooks": [{"name": "x", "url": "http://x/", "timeout_seconds": 60}]}, "hooks"),
        ({"error_limit_percent": 0}, "error_limit_percent"),
        ({"cpu_limit_percent": 101}, "cpu_limit_percent"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(changed, field):
    with pytest.raises(InvalidSetting) as refused:
        settings_of("rollout_25", changed)

    assert refused.value.field == field


def test_the_defaults_are_those_of_the_plan():
    assert [settings_of(phase.slug).needs_two_people for phase in PHASES] == [False] * 5 + [True] * 2
    assert [phase.slug for phase in PHASES if settings_of(phase.slug).needs_watch] == ["rollout_50", "full_100"]
    assert digest_of({}, {}) == "" != digest_of({"quorum": 5}, {})


def test_a_daily_freeze_holds_around_a_sites_change_of_activity_in_local_time():
    window = Freeze("change of activity", site="A", daily_at=time(6, 0), time_zone="Europe/Berlin")
    change = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)  # six o'clock in Berlin

    assert frozen([window], change - timedelta(minutes=30), ["A"])
    assert frozen([window], change + timedelta(minutes=29), ["A"])
    assert not frozen([window], change + timedelta(minutes=30), ["A"])
    assert not frozen([window], change, ["B"])


def test_a_daily_freeze_reaches_over_midnight():
    window = Freeze("night shift", daily_at=time(0, 10))

    assert frozen([window], datetime(2026, 11, 23, 23, 50, tzinfo=UTC))


def test_a_veto_blocks_and_a_quorum_is_a_setting():
    ballots = [Ballot(role, role.value, Choice.GO, "", NOW, "x") for role in Role if role is not Role.QA]
    no_go = Ballot(Role.QA, "qa", Choice.NO_GO, "motor faults", NOW, "x")
    strict = Quorum(needed=5, vetoes=(Role.QA,))

    assert consensus([*ballots, no_go], judged="x", now=NOW).verdict is Verdict.PASS
    assert (
        consensus([*ballots, no_go], judged="x", now=NOW, quorum=strict).sentence == "blocked by the QA: motor faults"
    )
    assert consensus(ballots[:4], judged="x", now=NOW, quorum=strict).verdict is Verdict.INCONCLUSIVE


def test_why_a_vote_is_void_is_said():
    def why(**changes):
        then = {"build": "v1/a", "slug": "canary_10", "percent": 10, "evidence_from": NOW, "settings": ""}
        ballot = Ballot(Role.QA, "qa", Choice.GO, "", NOW, judged_as(**then))
        return why_void(ballot, judged=judged_as(**{**then, **changes}), now=NOW, quorum=Quorum())

    assert why() == ""
    assert why(build="v2") == "it judged build v1/a, and v2 runs now"
    assert why(settings="abc") == "the settings were changed"
    assert why(percent=25) == "the evidence it judged began again"


def test_no_traffic_is_neither_good_nor_bad():
    nothing = judge(Evidence(0, 0), 0.001, "errors")

    assert (nothing.verdict, nothing.more_needed) == (Verdict.INCONCLUSIVE, 3_350)
    assert gates.mirror("new", 0, 0, expected=True).verdict is Verdict.INCONCLUSIVE


def test_too_few_requests_say_about_when_there_will_be_enough():
    judged = about(judge(Evidence(1_000, 0), 0.001, "errors"), 100.0)

    assert judged.sentence.endswith("2,350 more good ones needed to say below 0.1%, in about 24 s")


def test_an_evaluation_that_was_cut_short_is_inconclusive():
    assert gates.performance(replace(GOOD, sampled_age_seconds=40.0)).verdict is Verdict.INCONCLUSIVE
    assert gates.accuracy(replace(EQUAL, lag_forward_seconds=None), NOW).verdict is Verdict.INCONCLUSIVE


def test_a_tail_that_is_worse_than_legacys_fails():
    assert gates.performance(replace(GOOD, slower_than_legacy=Evidence(5_000, 400))).verdict is Verdict.FAIL


def test_the_way_back_must_be_known_to_be_open():
    assert step_gates.way_back(None).verdict is Verdict.INCONCLUSIVE
    assert step_gates.way_back(WayBack(False, "legacy forgot 3 robots")).verdict is Verdict.FAIL


def test_decommission_needs_a_warm_legacy_and_proofs_of_this_phase():
    fortnight = timedelta(days=14)

    assert step_gates.warm_legacy(None, fortnight, NOW).verdict is Verdict.INCONCLUSIVE
    assert step_gates.warm_legacy(NOW - timedelta(days=13), fortnight, NOW).verdict is Verdict.INCONCLUSIVE
    assert step_gates.warm_legacy(NOW - fortnight, fortnight, NOW).verdict is Verdict.PASS
    assert step_gates.proven("backup", None, NOW).verdict is Verdict.INCONCLUSIVE
    old = gates.Proof(True, "restored", NOW - timedelta(days=9))
    assert step_gates.proven("backup", old, NOW).verdict is Verdict.INCONCLUSIVE
