"""What both systems learn, followed from sync's own reads of a real legacy."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from heartbeat.models import LivenessEvent, RobotLiveness
from heartbeat.rules.identity import key_of
from migration.models import SideBySide
from migration.syncing.side_by_side import Comparing
from migration.syncing.source import LegacySource
from teleop.models import LegacyClaim, Session
from tests.migration.answering import answering
from tests.migration.door import wait_for
from tests.migration.syncing.conftest import Legacy, row

pytestmark = pytest.mark.django_db

ROBOT = "Lekiwi_00000001"
T0 = datetime.now(UTC)


@pytest.fixture
def look(legacy: Legacy):
    """Let sync's reading be compared, as of so many seconds after T0."""
    source, comparing = LegacySource(legacy.url), Comparing()

    def look(after_seconds: float) -> SideBySide:
        now = T0 + timedelta(seconds=after_seconds)
        reading = source.rows()
        object.__setattr__(reading, "began_at", now)
        comparing.look(reading, now)
        return SideBySide.objects.exclude(of="reading").get()

    yield look
    source.close()
    comparing.close()


def falls_silent() -> None:
    """Heard last 10 s before T0, noticed 2 s before it."""
    event = {"robot_key": key_of(ROBOT), "robot_id": ROBOT, "number": 3}
    RobotLiveness.objects.create(**event, state="offline", since=at(-3), heard_at=at(-10))
    LivenessEvent.objects.create(**event, from_state="late", to_state="offline", became_at=at(-3), noticed_at=at(-2))


def is_driven(*, believed: bool) -> None:
    """Driven since 4 s before T0, known 1 s later; what legacy believes of it."""
    Session.objects.create(
        robot_key=key_of(ROBOT), robot_id=ROBOT, state="active", confidence=1, began_at=at(-4), began_known_at=at(-3)
    )
    claim = {"robot_key": key_of(ROBOT), "robot_id": ROBOT, "field": "teleop_operation"}
    LegacyClaim.objects.create(**claim, operated=believed, since=at(-60), read_at=at(-1))


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def told(one: SideBySide) -> tuple[str, float, float]:
    return one.state, one.new_seconds, one.legacy_seconds


def test_a_silence_lasts_for_legacy_until_the_latest_look_at_which_it_did_not_say_so(legacy, look):
    falls_silent()
    legacy.hold({ROBOT: row(ROBOT)})
    assert told(look(0)) == ("open", 8, 10)
    assert told(look(5)) == ("open", 8, 15)

    legacy.hold({ROBOT: row(ROBOT, health="offline")})

    assert told(look(10)) == ("said", 8, 15)
    assert told(look(15)) == ("said", 8, 15)


def test_a_silence_that_is_over_before_legacy_says_so_keeps_what_is_known(legacy, look):
    falls_silent()
    legacy.hold({ROBOT: row(ROBOT)})
    look(5)

    RobotLiveness.objects.update(state="online")

    assert told(look(10)) == ("over", 8, 15)


def test_a_session_is_known_to_legacy_once_its_own_list_says_so(look):
    is_driven(believed=False)
    assert told(look(1)) == ("open", 1, 5)

    LegacyClaim.objects.update(operated=True)

    assert told(look(6)) == ("said", 1, 5)


def test_a_session_that_ends_unknown_and_one_that_was_claimed_before_are_told_apart(look):
    is_driven(believed=False)
    look(1)
    Session.objects.update(state="ended", ended_at=at(2), ended_known_at=at(3), ending="released")
    assert told(look(6)) == ("over", 1, 5)

    SideBySide.objects.all().delete()
    Session.objects.all().delete()
    LegacyClaim.objects.all().delete()
    is_driven(believed=True)

    assert told(look(11)) == ("before", 1, 0)


def readings() -> list[datetime]:
    return list(SideBySide.objects.filter(of="reading").values_list("began_at", flat=True))


def test_both_lists_are_read_by_the_same_call_now_and_then(legacy: Legacy, settings: Any):
    source, comparing = LegacySource(legacy.url), Comparing()
    looks = 0

    def look(after: float) -> bool:
        nonlocal looks
        looks += 1
        comparing.look(source.rows(), at(after))
        return True

    with answering({"/api/robots": (200, [row(ROBOT)])}) as url:
        settings.SITE_PORT = int(url.rpartition(":")[2])
        look(0)
        wait_for(lambda: look(1) and readings() == [at(0)])
        look(14)
        wait_for(lambda: look(15) and readings() == [at(15), at(0)])
    source.close()
    comparing.close()

    assert all(one.new_seconds > 0 and one.legacy_seconds > 0 for one in SideBySide.objects.all())
    assert source.calls == looks, "legacy is asked no more than sync does anyway"


def test_a_site_that_does_not_answer_is_no_sample_and_is_asked_again(legacy, settings):
    settings.SITE_PORT = 1
    source, comparing = LegacySource(legacy.url), Comparing()
    comparing.look(source.rows(), at(0))
    wait_for(comparing._asked.ours.done)

    comparing.look(source.rows(), at(15))
    source.close()
    comparing.close()

    assert readings() == []
    assert comparing._asked.at == at(15)
