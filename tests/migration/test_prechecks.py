from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from migration.rules.connections import needed_connections
from migration.rules.keeping_backups import Kept, may_go
from migration.rules.prechecks import Found, Signed, checklist, count, now_says, signature
from migration.rules.sequential import Judgement, Verdict
from tests.builders import NOW

POINTS = st.dictionaries(
    st.text(min_size=1, max_size=4),
    st.sampled_from(list(Verdict)).map(lambda verdict: Judgement(verdict, "x")),
    max_size=8,
)


@given(POINTS)
def test_the_checklist_passes_only_if_every_point_holds_or_is_waived(points):
    verdict = checklist(points).verdict

    good = {Verdict.PASS, Verdict.WAIVED}
    assert (verdict is Verdict.PASS) == (bool(points) and all(point.verdict in good for point in points.values()))
    assert (verdict is Verdict.FAIL) == any(point.verdict is Verdict.FAIL for point in points.values())
    assert sum(count(list(points.values())).values()) == len(points)


@given(st.sampled_from(list(Verdict)), st.floats(0, 3600), st.text(max_size=3))
def test_a_waiver_never_hides_a_pass_and_an_old_pass_is_no_pass(verdict, age, waiver):
    found = Found(verdict, "found", NOW - timedelta(seconds=age))
    says = now_says(found, fresh_for=timedelta(seconds=60), waiver=waiver, now=NOW)

    is_fresh_pass = verdict is Verdict.PASS and timedelta(seconds=age) <= timedelta(seconds=60)
    assert (says.verdict is Verdict.PASS) == is_fresh_pass
    if waiver and not is_fresh_pass:
        assert says.verdict is Verdict.WAIVED
        assert "(found: " in says.sentence


def test_a_signature_of_what_has_changed_since_is_void():
    assert signature(Signed("lead", "yes", NOW), "QA").verdict is Verdict.PASS
    assert signature(Signed("lead", "yes", NOW, is_void=True), "QA").verdict is Verdict.INCONCLUSIVE
    assert signature(None, "QA").sentence == "not signed by QA yet"


def test_more_threads_need_more_connections():
    few, many = (sum(needed_connections(site_threads=n, worker_threads=n).values()) for n in (1, 10))
    assert many - few == 18


KEPT = st.lists(
    st.builds(
        Kept,
        key=st.integers(),
        kind=st.sampled_from(["database", "legacy"]),
        begun_at=st.integers(0, 100).map(lambda days: NOW - timedelta(days=days)),
        is_verified=st.booleans(),
        phase_run=st.none() | st.integers(1, 3),
    ),
    unique_by=lambda one: one.key,
    max_size=12,
)


@given(KEPT)
def test_retention_never_removes_the_last_way_back(backups):
    gone = set(may_go(backups, NOW, timedelta(days=30)))

    left = [one for one in backups if one.key not in gone]
    for one in backups:
        if one.is_verified:
            same = [other for other in left if other.is_verified and other.kind == one.kind]
            assert any(other.begun_at >= one.begun_at for other in same), "a newer or this one of its kind is left"
            if one.phase_run is not None:
                assert any(other.phase_run == one.phase_run for other in left if other.is_verified)
    assert all(NOW - one.begun_at > timedelta(days=30) for one in backups if one.key in gone)
    assert not any(one.kind == "legacy" and one.is_verified for one in backups if one.key in gone)
