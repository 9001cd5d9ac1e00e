"""The baseline that cohorts are measured against is the shipped door, and lacks them alone."""

import json

from benchmarks.cohorts import without_cohorts


def test_the_baseline_lacks_the_filter_the_counter_and_the_histogram_alone(tmp_path):
    door = json.loads(without_cohorts(tmp_path).read_text())["static_resources"]["listeners"][0]
    manager = door["filter_chains"][0]["filters"][0]["typed_config"]
    (log,) = (each["typed_config"] for each in manager["access_log"])

    names = [each["name"] for each in manager["http_filters"]]
    assert names == ["robots", "envoy.filters.http.router"]
    assert [each["stat"]["name"] for each in log["counters"]] == ["rq"]
    assert [each["stat"]["name"] for each in log["histograms"]] == ["ms"]
