from migration.rules.observing import contradiction


def test_no_traffic_contradicts_nothing():
    assert contradiction(50, 0, 0) is None


def test_requests_in_flight_do_not_contradict_a_rollback():
    assert contradiction(0, 3, 40) is None


def test_traffic_that_still_goes_to_new_contradicts_zero_percent():
    assert contradiction(0, 30, 40) == "30 of 70 live requests went to new at 0 %"


def test_traffic_that_still_goes_to_legacy_contradicts_a_hundred_percent():
    assert contradiction(100, 10, 30) is not None


def test_a_small_fleet_is_never_exactly_at_its_percentage():
    assert contradiction(10, 24, 176) is None


def test_half_of_the_traffic_contradicts_ten_percent():
    assert contradiction(10, 100, 100) == "100 of 200 live requests went to new, but 10 % was asked"
