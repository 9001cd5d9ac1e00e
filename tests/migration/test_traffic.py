import pytest

from migration import sampling, traffic
from migration.models import TrafficSample
from tests.builders import NOW, sample, seconds


def counters(requests: int, errors: int = 0, **counts: int) -> dict:
    part = {"requests": requests, "errors": errors, "buckets": {"5": requests, "100": requests, "inf": requests}}
    return {**traffic.nothing(), "new.owner": part, **counts}


def test_totals_grow_by_what_each_proxy_counted():
    before = {"a": counters(100), "b": counters(10)}
    after = {"a": counters(130, 1), "b": counters(15)}

    totals = traffic.advance(counters(1_000), before, after)

    assert totals["new.owner"]["requests"] == 1_035
    assert totals["new.owner"]["errors"] == 1
    assert totals["new.owner"]["buckets"]["100"] == 1_035


def test_a_proxy_that_was_restarted_counts_from_nothing():
    totals = traffic.advance(counters(1_000), {"a": counters(900)}, {"a": counters(20)})

    assert totals["new.owner"]["requests"] == 1_020


def test_a_proxy_seen_for_the_first_time_adds_nothing_from_its_past():
    assert traffic.advance(counters(1_000), {}, {"a": counters(900)})["new.owner"]["requests"] == 1_000
    assert traffic.advance(counters(1_000), None, {"a": counters(900)})["new.owner"]["requests"] == 1_000


def test_p99_is_interpolated_inside_its_bucket():
    served = traffic.Served(1_000, 0, {"10": 980, "100": 1_000, "inf": 1_000})

    assert served.p99_milliseconds() == pytest.approx(10 + 90 * 10 / 20)
    assert traffic.Served().p99_milliseconds() is None


def test_slow_ones_are_those_above_100_ms():
    assert traffic.Served(10, 0, {"50": 6, "100": 8, "250": 9, "inf": 10}).slow == 2


@pytest.mark.django_db
def test_what_happened_since_a_moment_is_the_difference_of_two_samples():
    sample(NOW, new_owner=(100, 0))
    sample(NOW + seconds(5), new_owner=(150, 1))
    sample(NOW + seconds(10), new_owner=(300, 2))

    flow = traffic.since(NOW + seconds(5))

    assert (flow.parts["new.owner"].requests, flow.parts["new.owner"].errors, flow.seconds) == (150, 1, 5.0)


@pytest.mark.django_db
def test_what_happened_between_the_sample_before_a_moment_and_the_moment_is_not_counted():
    sample(NOW, new_owner=(100, 0))
    began = NOW + seconds(0.9)
    sample(NOW + seconds(1), new_owner=(125, 25))
    assert traffic.since(began) is None

    sample(NOW + seconds(2), new_owner=(225, 25))

    flow = traffic.since(began)
    assert (flow.parts["new.owner"].requests, flow.parts["new.owner"].errors, flow.seconds) == (100, 0, 1.0)


@pytest.mark.django_db
def test_a_window_is_at_least_as_wide_as_asked_where_samples_go_back_that_far():
    sample(NOW, new_owner=(100, 0))
    sample(NOW + seconds(5), new_owner=(150, 1))
    sample(NOW + seconds(10), new_owner=(300, 2))

    assert traffic.latest_window(NOW + seconds(11), seconds(6)).seconds == 10.0
    assert traffic.latest_window(NOW + seconds(11), seconds(60)).seconds == 10.0


@pytest.mark.django_db
def test_an_old_sample_is_no_window_of_now():
    sample(NOW, new_owner=(100, 0))
    sample(NOW + seconds(5), new_owner=(150, 1))

    assert traffic.latest_window(NOW + seconds(60), seconds(10)) is None


@pytest.mark.django_db
def test_a_series_has_at_most_its_points_and_nothing_where_nothing_was_measured():
    for number in range(60):
        sample(NOW + seconds(number), new_owner=(number * 10, 0))

    drawn = traffic.series(NOW + seconds(60), width=seconds(60), points=6)

    assert 4 <= len(drawn) <= 6
    assert all(point["new_error_percent"] == 0 and point["legacy_error_percent"] is None for point in drawn)


@pytest.mark.django_db
def test_samples_are_thinned_out_as_they_age():
    for number in range(240):
        sample(NOW + seconds(number))
    sample(NOW + seconds(7_000))

    sampling.prune(NOW + seconds(7_001))

    assert 4 <= TrafficSample.objects.filter(at__lt=NOW + seconds(240)).count() <= 5
    assert TrafficSample.objects.filter(at=NOW + seconds(7_000)).exists()
