"""The ramp's and the test's pictures: what is drawn is what the rules say."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dashboard.pictures import BOTTOM, LEFT, RIGHT, TOP, plot_of, ramp_picture
from migration.rules.sequential import Evidence, Verdict, judge
from tests.dashboard import states


def way(**ramp):
    steps = [
        {"words": "kind=xle at 0 %", "percent": 0, "state": "done"},
        {"words": "15 %", "percent": 15, "state": "done"},
        {"words": "20 %", "percent": 20, "state": "next"},
        {"words": "25 %", "percent": 25, "state": "todo"},
    ]
    return {"ramp": {"steps": steps, "reached": 1, "bake_seconds": 120.0, "bakes_until": None, **ramp}, "plan": []}


def test_the_mark_stands_where_the_bake_time_of_the_step_that_was_reached_is():
    half = ramp_picture(way(bakes_until=(states.AT + timedelta(seconds=60)).isoformat()), states.AT)
    over = ramp_picture(way(bakes_until=(states.AT - timedelta(seconds=60)).isoformat()), states.AT)
    begun = ramp_picture(way(reached=-1), states.AT)

    assert (half.here, over.here, begun.here) == (37.5, 50.0, 0.0), "percent of four steps"
    assert [bar.look for bar in half.bars] == ["f-new", "f-new", "rule", "rule"]
    assert [bar.words for bar in half.bars] == ["kind=xle", "15 %", "20 %", "25 %"]
    assert half.told.endswith("25 %: 2 of 4 steps observed")


def test_before_a_ramp_begins_its_steps_follow_where_the_fleet_is():
    picture = ramp_picture(states.canary()["way"], states.AT)

    assert [bar.words for bar in picture.bars] == ["now 10\u00a0%", "15 %", "20 %", "25 %"]
    assert [bar.height for bar in picture.bars] == sorted(bar.height for bar in picture.bars)
    assert picture.here == 25.0
    assert ramp_picture({"ramp": None, "plan": [], "percent": 100}, states.AT) is None


EVIDENCE = st.builds(lambda good, bad: Evidence(good + bad, bad), st.integers(0, 10**6), st.integers(0, 2000))


@given(st.lists(EVIDENCE, min_size=2, max_size=8), st.sampled_from([0.001, 0.01]))
def test_the_mark_lies_beyond_a_bound_exactly_when_the_test_decided(looks, limit):
    plot = plot_of("Errors", "errors", limit, [(10.0 * place, one) for place, one in enumerate(looks)])

    verdict = judge(looks[-1], limit, "errors").verdict
    assert (plot.y <= plot.fails) == (verdict is Verdict.FAIL)
    assert (plot.y >= plot.passes) == (verdict is Verdict.PASS)
    assert TOP <= plot.y <= BOTTOM
    assert LEFT <= plot.x <= RIGHT
    assert plot.latest == plot.rows[-1].verdict == verdict
    assert plot.told.startswith(judge(looks[-1], limit, "errors").sentence)


def test_the_table_names_the_look_that_decided_and_the_latest():
    looks = [(float(second), Evidence(200 * second, 0)) for second in range(100)]

    plot = plot_of("Errors", "errors", 0.001, looks)

    assert "first pass at 3,400 requests" in plot.told, "the first look after enough"
    assert {(row.requests, row.verdict) for row in plot.rows} >= {(3400, "pass"), (19_800, "pass")}
    assert len(plot.rows) <= 8
    assert plot_of("Errors", "errors", 0.001, looks[:1]) is None
