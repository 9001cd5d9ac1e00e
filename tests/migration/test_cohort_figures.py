"""Figures by cohort for Prometheus: counts always, a share and a p99 only where there were requests enough."""

import pytest

from migration import cohort_figures
from migration.rules.cohort_table import tag_of
from tests.builders import NOW, sample, seconds

pytestmark = pytest.mark.django_db


def row(requests, errors, timed):
    return {"requests": requests, "errors": errors, "passed_over": 1, "buckets": {"10": timed, "inf": timed}}


def figures():
    return {
        (each.name, each.labels["system"], each.labels["cohort"]): each.value
        for family in cohort_figures.families(NOW + seconds(10))
        for each in family.samples
    }


def test_each_system_and_cohort_has_its_counts_and_a_share_where_it_says_something():
    sample(NOW, cohorts={"new": {tag_of("xle", "A"): row(100, 2, 90)}})
    grown = {tag_of("xle", "A"): row(600, 52, 550), tag_of("lekiwi", "A"): row(9, 0, 9)}
    sample(NOW + seconds(9), cohorts={"new": grown, "legacy": {tag_of("xle", "A"): row(400, 0, 400)}})

    found = figures()

    assert found["lekiwi_cohort_requests_total", "new", "kind xle"] == 600
    assert found["lekiwi_cohort_errors_total", "new", "site A"] == 52
    assert found["lekiwi_cohort_passed_over_total", "new", "kind lekiwi"] == 1
    assert found["lekiwi_cohort_error_ratio", "new", "kind xle"] == pytest.approx(50 / 500)
    assert found["lekiwi_cohort_error_ratio", "legacy", "kind xle"] == 0
    assert found["lekiwi_cohort_latency_p99_seconds", "new", "kind xle"] == pytest.approx(0.0099)
    assert ("lekiwi_cohort_error_ratio", "new", "kind lekiwi") not in found
    assert ("lekiwi_cohort_latency_p99_seconds", "new", "kind lekiwi") not in found


def test_without_samples_nothing_is_told():
    assert figures() == {}


def test_samples_from_before_there_were_cohorts_are_no_mistake():
    old = sample(NOW)
    del old.totals["cohorts"]
    old.save()

    assert figures() == {}
