from functools import reduce
from operator import xor

from hypothesis import given
from hypothesis import strategies as st

from heartbeat.ingest.register import NEVER, Admitted, Live, Register


def live(token_id: int, robot: int) -> Live:
    return Live(Admitted(b"r%d" % robot, f"r{robot}", token_id), b"digest of %d" % token_id, NEVER, token_id * 7919)


changes = st.lists(st.tuples(st.booleans(), st.integers(1, 8), st.integers(1, 3)), max_size=40)


@given(changes)
def test_the_register_holds_what_was_put_last_and_not_dropped_since(changes):
    register, expected = Register(), {}
    for put, token_id, robot in changes:
        if put:
            expected[token_id] = live(token_id, robot)
            register.put(expected[token_id])
        else:
            expected.pop(token_id, None)
            register.drop(token_id)

    assert register.by_digest == {one.digest: one for one in expected.values()}
    assert {key: sorted(ones) for key, ones in register.by_robot.items()} == {
        one.admitted.robot_key: sorted(
            each for each in expected.values() if each.admitted.robot_key == one.admitted.robot_key
        )
        for one in expected.values()
    }
    assert register.fingerprint == reduce(xor, (one.fingerprint for one in expected.values()), 0)
    assert all(register.token(token_id) == expected.get(token_id) for token_id in range(1, 9))


@given(changes)
def test_reading_everything_anew_leaves_nothing_of_before(changes):
    register, other = Register(), Register()
    for _, token_id, robot in changes:
        register.put(live(token_id, robot))
    kept = [live(3, 1), live(4, 2)]
    register.replace_tokens(kept)
    other.replace_tokens(kept)

    assert vars(register) == vars(other)


def test_what_the_database_has_told_is_not_overwritten_by_who_issued_it():
    register, told = Register(), live(1, 1)
    register.put(told)

    register.add(told._replace(fingerprint=0))
    register.add(live(2, 1)._replace(fingerprint=0))

    assert register.token(1) == told
    assert register.token(2) is not None
    assert register.fingerprint == told.fingerprint
