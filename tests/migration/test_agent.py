import pytest

from migration import agent
from migration.models import Alert, Pulse
from tests.migration.installation import door, in_phase, installation  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("installation")]


def test_a_proxy_that_does_not_follow_is_an_alert_by_name_until_it_does(installation, settings):
    in_phase(installation, "canary_10")
    one = list(settings.PROXIES)
    settings.PROXIES = [*one, "front-b=http://127.0.0.1:1|http://127.0.0.1:1"]

    agent.tick()
    agent.tick()

    assert [alert.name for alert in Alert.objects.filter(closed_at=None)] == ["proxy front-b"]
    settings.PROXIES = one
    agent.tick()
    assert not Alert.objects.filter(closed_at=None).exists()


def test_a_broken_route_file_is_rewritten_from_the_active_phase(installation):
    in_phase(installation, "canary_10")
    installation.file.routes.write_text("{")

    agent.tick()

    assert installation.file.read().plan.phase == "canary_10"
    assert Pulse.objects.filter(name="route_agent").exists()
