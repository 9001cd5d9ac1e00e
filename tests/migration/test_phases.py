from itertools import pairwise

import pytest

from migration.rules.phases import PHASES, UnknownPhase, emergency_target, next_phase, phase_of, rollback_target


def test_a_phase_is_found_by_slug_and_by_number():
    assert phase_of("canary_10") is phase_of("2")


@pytest.mark.parametrize("word", ["canary", "7", "-1", "", "10 %", "²"])
def test_an_unknown_phase_is_refused_with_those_that_exist(word):
    with pytest.raises(UnknownPhase, match="known are 0 preparation, 1 shadow"):
        phase_of(word)


def test_every_step_forward_moves_the_same_robots_or_more():
    assert all(earlier.percent <= later.percent for earlier, later in pairwise(PHASES))


def test_every_rollback_goes_back():
    assert [rollback_target(phase).number for phase in PHASES[1:]] == [0, 1, 2, 3, 4, 4]
    assert rollback_target(PHASES[0]) is None
    assert next_phase(PHASES[-1]) is None


def test_an_emergency_lands_at_0_percent_from_everywhere():
    assert {emergency_target(phase).percent for phase in PHASES} == {0}
