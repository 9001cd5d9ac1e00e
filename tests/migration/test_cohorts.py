"""5,000 robots that are named one by one, on a real door."""

import pytest

from migration import routing
from migration.rules.phases import phase_of
from migration.rules.plans import RoutePlan
from migration.rules.routes import filter_source, plan_in, route_configuration
from migration.rules.split import Side
from tests.migration.installation import door, installation  # noqa: F401

NAMES = {f"xle_{number:05d}": "canary_10" for number in range(5_000)}


def plan(**changes) -> RoutePlan:
    return routing.plan_for(phase_of("canary_10"), {}, **{"cohort": NAMES, "robots": 10_000, **changes})


def test_a_route_of_5_000_named_robots_is_acknowledged_and_observed(installation):
    routed = installation.file.write(plan(percent=0), because="cohort first", by="lead")

    seen = routing.confirm(routed, deadline_seconds=5.0)

    assert seen.is_observed, seen.late
    print(f"5,000 named robots: acknowledged {seen.acknowledged_seconds:.3f} s, observed {seen.observed_seconds:.3f} s")


def test_a_pin_wins_over_a_cohort_and_a_latch_over_both():
    pinned = RoutePlan.split(0, pins={"xle_00001": "legacy"}).to_dict() | {"cohort": NAMES, "robots": 10_000}

    assert RoutePlan.from_dict(pinned).owner_of("XLE_00001").side is Side.LEGACY
    assert RoutePlan.from_dict(pinned).owner_of("XLE_00002").side is Side.NEW
    latched = RoutePlan.emergency().to_dict() | {"cohort": NAMES, "robots": 10_000}
    assert RoutePlan.from_dict(latched).owner_of("XLE_00002").side is Side.LEGACY


def test_live_traffic_is_expected_where_the_cohort_went():
    assert plan(percent=0).expected_percent == 50.0
    assert 54.0 < plan(percent=10).expected_percent < 56.0
    assert RoutePlan.split(10).expected_percent == 10.0


def test_a_cohort_survives_the_route_file_and_the_filter_names_it():
    wanted = plan(percent=0)

    assert plan_in(route_configuration(wanted, 3, {}))[0] == wanted
    assert "new\txle_00007" in str(filter_source(wanted, "@PINS@")).replace("\\t", "\t")


def test_going_back_takes_along_who_went_over_later_and_leaves_who_went_before():
    mixed = plan(percent=25, cohort={"a": "canary_10", "b": "rollout_25"})

    assert routing.plan_back_to(phase_of("canary_10"), mixed).cohort == {"a": "canary_10"}
    assert routing.plan_back_to(phase_of("shadow"), mixed).cohort == {}


@pytest.mark.parametrize("cohort", [{"a\nb": "canary_10"}, {"a": 3}, ["a"], {"a": "No Slug"}])
def test_a_cohort_that_makes_no_sense_never_reaches_a_proxy(cohort):
    with pytest.raises(ValueError, match="cohort"):
        RoutePlan.from_dict({**RoutePlan.split(10).to_dict(), "cohort": cohort, "robots": 1})
