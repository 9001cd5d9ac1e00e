import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.rules.routes import InvalidPlan, RoutePlan, filter_source, plan_in, route_configuration
from migration.rules.split import Side

TEMPLATE = "return [==[\n@PINS@\n]==]"
GOOD = RoutePlan.split(25, phase="rollout_25", pins={"lekiwi_1": "new"}).to_dict()

pins = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=30).map(str.lower),
    st.sampled_from(["new", "legacy"]),
    max_size=5,
)


def routes_of(plan):
    return route_configuration(plan, 7)["resources"][0]["virtual_hosts"][0]["routes"]


def clusters_of(plan):
    return {route["route"]["cluster"] for route in routes_of(plan) if "route" in route}


@given(st.integers(0, 100), pins)
def test_a_plan_survives_the_route_file_it_is_written_into(percent, pinned):
    plan = RoutePlan.split(percent, pins=pinned)

    written = json.loads(json.dumps(route_configuration(plan, 17, {"because": "a test"})))

    read, version, note = plan_in(written)
    assert (read, version, note["because"]) == (plan, 17, "a test")
    assert written["version_info"] == "17"


@pytest.mark.parametrize(
    ("changed", "field", "reason"),
    [
        ({"percent": 110}, "percent", "no whole number from 0 to 100"),
        ({"percent": -1}, "percent", "no whole number"),
        ({"percent": True}, "percent", "no whole number"),
        ({"percent": "25"}, "percent", "no whole number"),
        ({"percent": 2.5}, "percent", "no whole number"),
        ({"shadow": 1}, "shadow", "neither true nor false"),
        ({"operators": "both"}, "operators", "neither new nor legacy"),
        ({"phase": "A phase!"}, "phase", "is no slug"),
        ({"pins": []}, "pins", "is no object"),
        ({"pins": {"lekiwi_1": "left"}}, "pins", "neither new nor legacy"),
        ({"pins": {"a\nb": "new"}}, "pins", "control characters"),
        ({"pins": {"a\ud83d": "new"}}, "pins", "half a surrogate pair"),
        ({"pins": {"Lekiwi": "new", "lekiwi": "legacy"}}, "pins", "pinned to both sides"),
        ({"failover_to_new": False}, "failover_to_new", "it is in play"),
        ({"latched": True}, "percent", "legacy answers everything"),
        ({"surprise": 1}, "surprise", "nobody knows"),
    ],
)
def test_a_wrong_plan_names_the_field_and_the_reason(changed, field, reason):
    with pytest.raises(InvalidPlan) as refused:
        RoutePlan.from_dict({**GOOD, **changed})

    assert refused.value.field == field
    assert reason in str(refused.value)


@pytest.mark.parametrize("field", sorted(GOOD))
def test_a_plan_without_a_field_is_refused_by_name(field):
    with pytest.raises(InvalidPlan, match=f"^{field}: is missing"):
        RoutePlan.from_dict({name: value for name, value in GOOD.items() if name != field})


@pytest.mark.parametrize("given_plan", [None, [], "plan", 3])
def test_what_is_no_plan_at_all_is_refused(given_plan):
    with pytest.raises(InvalidPlan):
        RoutePlan.from_dict(given_plan)
    with pytest.raises(InvalidPlan):
        plan_in(given_plan)


@pytest.mark.parametrize(
    "plan",
    [RoutePlan.preparation(), RoutePlan.shadowing(), RoutePlan.split(50), RoutePlan.split(100), RoutePlan.emergency()],
)
def test_only_the_two_calls_of_robots_are_copied_or_asked_twice(plan):
    allowed = {("/api/robot/status", "POST"), ("/api/check-update", "GET")}

    for route in routes_of(plan):
        action, match = route.get("route", {}), route["match"]
        if "request_mirror_policies" in action or action.get("cluster") in ("new_first", "legacy_first"):
            methods = [one["string_match"]["exact"] for one in match["headers"] if one["name"] == ":method"]
            assert (match["path"], *methods) in allowed
        elif "retry_policy" in action and match != {"prefix": "/api/download/"}:
            assert match["path"] in {path for path, _ in allowed}


@pytest.mark.parametrize("plan", [RoutePlan.preparation(), RoutePlan.emergency()])
def test_nothing_of_new_answers_before_it_is_in_play_or_in_an_emergency(plan):
    assert clusters_of(plan) == {"legacy_only", "legacy_plain"}


def test_preparation_sends_new_no_copies_and_an_emergency_goes_on_sending_them():
    copied = [
        json.dumps(routes_of(plan)).count("new_shadow") for plan in (RoutePlan.preparation(), RoutePlan.emergency())
    ]

    assert copied == [0, 2]


@pytest.mark.parametrize(
    ("plan", "told"),
    [(RoutePlan.preparation(), 2), (RoutePlan.emergency(), 2), (RoutePlan.split(100), 0), (RoutePlan.shadowing(), 0)],
)
def test_systems_are_told_while_v2_is_refused(plan, told):
    calls = [route for route in routes_of(plan) if "request_headers_to_add" in route]
    marked = [route for route in calls if {"key": "x-v2", "value": "refused"} in headers_added(route)]

    assert len(marked) == told


def headers_added(route):
    return [one["header"] for one in route["request_headers_to_add"]]


def test_pins_count_only_while_new_is_in_play():
    pinned = {"lekiwi_1": "new"}

    preparing = RoutePlan("preparation", 0, shadow=False, failover_to_new=False, accept_v2=False, pins=pinned)

    assert RoutePlan.shadowing(pins=pinned).owner_of("lekiwi_1").side is Side.NEW
    assert preparing.owner_of("lekiwi_1").side is Side.LEGACY
    assert "x-robot-pin" not in json.dumps(routes_of(preparing))


@given(pins)
def test_no_id_gets_out_of_its_place_in_the_filter(pinned):
    plan = RoutePlan.shadowing(pins={**pinned, ']==] os.exit() --"': "new"})

    config = filter_source(plan, TEMPLATE)["resources"][0]["typed_config"]
    source = config["default_source_code"]["inline_string"]

    rows = source.split("\n")[1:-1]
    assert len(rows) == len(plan.pins)
    assert all(set(row.split("\t")[1]) <= set("abcdefghijklmnopqrstuvwxyz0123456789ABCDEF_.-~%") for row in rows)


def test_the_filter_has_one_place_for_the_pins():
    text = (Path(__file__).parents[2] / "compose" / "envoy" / "filter.lua").read_text()

    assert text.count("@PINS@") == 1
