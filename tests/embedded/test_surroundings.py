from urllib.parse import urlsplit

from embedded.surroundings import of_the_autopilot
from simulator.autopilot.chapters.messages import ALERTS, STATUS


def test_both_channels_are_at_one_address_under_the_paths_that_the_autopilot_knows() -> None:
    told = of_the_autopilot()

    channels = [urlsplit(told[name]) for name in ("NOTIFY_STATUS_WEBHOOK", "NOTIFY_ALERTS_WEBHOOK")]
    assert [channel.path for channel in channels] == [STATUS, ALERTS]
    assert channels[0].netloc == channels[1].netloc
    assert len(told["ALERTMANAGER_TOKEN"]) > 20
