from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.rules.contacts import DEFAULT_PATH
from migration.rules.escalating import Step, due
from migration.rules.notifying import LONGEST_RETRY, MOST_LINES, Line, body, channels_of, retry_after, title
from migration.rules.signing import BadSecret, signature
from tests.builders import NOW


def test_a_signature_is_that_of_the_specification():
    # the example of standardwebhooks.com
    signed = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "whsec_not base64!"])
def test_a_secret_that_is_none_signs_nothing(secret):
    with pytest.raises(BadSecret):
        signature(secret, "id", 1, b"{}")


@given(st.integers(1, 10_000), st.one_of(st.none(), st.floats(-10, 1e9)))
def test_another_attempt_comes_later_each_time_but_comes(attempts, asked):
    waits = retry_after(attempts, asked)

    assert timedelta(seconds=2) <= waits <= max(LONGEST_RETRY, timedelta(hours=1))
    assert retry_after(attempts + 1) >= retry_after(attempts)


@given(st.lists(st.builds(Line, st.sampled_from(["vote", "gate"]), st.text(min_size=1), st.just(NOW)), min_size=1))
def test_a_message_says_how_much_it_leaves_out(lines):
    said = body(lines)

    assert ("more, on the page" in said) == (len(lines) > MOST_LINES)
    assert "\n" not in title(lines)
    assert len(title(lines)) <= 150


def test_what_is_not_about_the_migration_stays_in_the_audit_log():
    assert channels_of("token_issued") == ()
    assert channels_of("vote") == ("status",)
    assert channels_of("rollback") == ("status", "alerts")


@pytest.mark.parametrize("action", ["frozen", "freeze_lifted"])
def test_a_freeze_is_told_when_it_begins_and_when_it_is_lifted(action):
    assert channels_of(action) == ("status",)


@given(st.lists(st.floats(0, 3600), min_size=1, max_size=30))
def test_no_step_of_an_escalation_is_taken_twice_or_too_early(moments):
    path = [Step(duty.value, timedelta(minutes=minutes)) for minutes, duty in DEFAULT_PATH]
    taken = []
    for seconds in sorted(moments):
        now = NOW + timedelta(seconds=seconds)
        for place, step in due(path, NOW, now, len(taken)):
            assert now - NOW >= step.after
            taken.append(place)

    assert taken == list(range(len(taken)))
