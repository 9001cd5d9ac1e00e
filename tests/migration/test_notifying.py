"""Notifications, to a real receiver of webhooks and a real mail server."""

from datetime import UTC, datetime, timedelta

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MailHandler
from rest_framework.test import APIClient

from embedded.ports import free_port as any_free_port
from heartbeat.models import Incident, Notice
from migration import alerting, audit, judging, pulses
from migration.actors import Actor
from migration.clock import system_clock
from migration.models import Alert, Delivery, Notification
from migration.notifying import collecting, delivering, dispatching
from migration.notifying.running import prepare
from migration.rules.signing import signature
from migration.rules.voting import Role
from tests.builders import person, phase_run
from tests.migration.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db

LEAD = Actor("lead")


class Mailbox(MailHandler):
    """Keeps mail; refuses the first `busy` of them for now, and addresses that it does not know for good."""

    def __init__(self) -> None:
        super().__init__()
        self.mails = []
        self.busy = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 no such user"
        if self.busy:
            self.busy -= 1
            return "451 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def handle_message(self, message):
        self.mails.append(message)


@pytest.fixture(scope="module")
def receiver():
    with receiving() as one:
        yield one


@pytest.fixture
def chat(receiver, settings) -> Receiver:
    """Both channels go to one receiver; everything is told at once."""
    receiver.got.clear()
    receiver.answers.clear()
    settings.NOTIFY_STATUS_WEBHOOK = f"{receiver.url}/status"
    settings.NOTIFY_ALERTS_WEBHOOK = f"{receiver.url}/alerts"
    settings.NOTIFY_GROUP_SECONDS = 0
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    prepare()
    return receiver


@pytest.fixture(scope="module")
def mail_server():
    box = Mailbox()
    box.port = any_free_port()
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    yield box
    controller.stop()


@pytest.fixture
def mailbox(mail_server, settings):
    mail_server.mails.clear()
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail_server.port
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.NOTIFY_EMAIL = ["oncall@example.org"]
    settings.NOTIFY_GROUP_SECONDS = 0
    prepare()
    return mail_server


def send_all() -> list[Delivery]:
    """A round of the notifier in this thread."""
    prepare()
    return [done for one in delivering.due(system_clock().now()) if (done := delivering.deliver(one.pk))]


def voted(sentence: str = "voted go on leaving Canary 10 %") -> None:
    audit.record(LEAD, "vote", sentence, at=system_clock().now())


def later(seconds: float) -> None:
    """Let what waits for another attempt be due."""
    Delivery.objects.filter(state="waiting").update(due_at=system_clock().now() - timedelta(seconds=seconds))


def test_every_shift_vote_gate_change_incident_and_rollback_is_told(chat):
    run = phase_run("preparation")
    now = system_clock().now()
    voted()
    audit.record(LEAD, "shift_observed", "confirmed 0 → 10 % in 0.41 s", at=now)
    audit.record(LEAD, "rollback", "rolled back 10 → 0 %: motor faults", at=now)
    judging.keep(run, [judging.Judged("duration", judging.gates.duration(now, timedelta(days=7), now), {})], now)
    incident = Incident.objects.create(site="B", level="offline", opened_at=now, last_joined_at=now, robots=3)
    Notice.objects.create(incident=incident, route="offline", text="3 robots of site B are offline", created_at=now)

    send_all()

    told = {path.rpartition("/")[2]: text for (path, _, _), text in zip(chat.got, chat.texts, strict=True)}
    for part in ("lead: voted go", "confirmed 0 → 10 %", "rolled back 10 → 0 %", "gate Duration: inconclusive"):
        assert part in told["status"]
    assert "3 robots of site B are offline" in told["alerts"]
    assert "rolled back 10 → 0 %: motor faults" in told["alerts"]
    assert "voted" not in told["alerts"]
    assert Notice.objects.get().sent_at is not None


def test_what_comes_together_is_one_message_and_nothing_is_told_twice(chat, settings):
    settings.NOTIFY_GROUP_SECONDS = 60
    for number in range(3):
        voted(f"voted go, number {number}")
    assert send_all() == []

    settings.NOTIFY_GROUP_SECONDS = 0
    send_all()
    send_all()

    (text,) = chat.texts
    assert text.startswith("3 messages: 3 votes\n")
    assert [number for number in range(3) if f"number {number}" in text] == [0, 1, 2]


def test_what_was_there_before_a_destination_was_configured_is_not_told_to_it(settings, receiver):
    receiver.got.clear()
    prepare()
    voted("voted long ago")
    prepare()

    settings.NOTIFY_STATUS_WEBHOOK = receiver.url
    settings.NOTIFY_GROUP_SECONDS = 0
    send_all()
    voted("voted just now")
    send_all()

    assert ["just now" in text and "long ago" not in text for text in receiver.texts] == [True]


def test_a_receiver_that_is_down_delays_nothing_else_and_gets_one_message_when_it_is_back(chat):
    chat.answers = [(503, {}), (502, {})]
    voted("voted go, number 1")
    (first,) = send_all()
    assert (first.state, first.attempts, first.failure) == ("waiting", 1, "answered 503: so it is")
    voted("voted go, number 2")
    voted("voted go, number 3")
    assert send_all() == []  # it is not due yet, and the rest waits behind it

    later(1)
    (second,) = send_all()
    assert second.attempts == 2
    assert second.due_at - first.due_at > timedelta(0)
    later(1)
    send_all()
    send_all()

    assert [text.count("voted go") for text in chat.texts] == [1, 1, 1, 2]
    assert {one.state for one in Delivery.objects.all()} == {"sent"}


def test_a_receiver_that_asks_for_time_gets_it(chat):
    chat.answers = [(429, {"Retry-After": "120"})]
    voted()

    (delivery,) = send_all()

    assert delivery.due_at - datetime.now(UTC) > timedelta(seconds=110)


def test_a_webhook_that_refuses_for_good_is_given_up_shown_and_can_be_sent_again(chat):
    chat.answers = [(404, {})]
    voted()
    (delivery,) = send_all()

    assert (delivery.state, delivery.failure) == ("failed", "answered 404: so it is")
    assert "chat:status was given up: answered 404" in Alert.objects.get(closed_at=None).sentence

    client = APIClient()
    client.force_login(person(Role.MONITORING))
    url = f"/api/v2/migration/alerts/deliveries/{delivery.pk}/retry"
    assert client.post(url).json()["state"] == "waiting"
    assert client.post(url).status_code == 409
    send_all()
    assert Delivery.objects.get(pk=delivery.pk).state == "sent"
    assert not Alert.objects.filter(closed_at=None).exists()


def test_a_sender_that_was_killed_is_followed_by_another_under_the_same_identity(chat, settings):
    settings.NOTIFY_STATUS_WEBHOOK = ""
    settings.NOTIFY_WEBHOOKS = [chat.url]
    settings.NOTIFY_WEBHOOK_SECRET = "s"
    prepare()
    voted()
    prepare()
    delivery = Delivery.objects.get()
    now = system_clock().now()
    Delivery.objects.update(claimed_until=now + timedelta(seconds=30))
    assert delivering.deliver(delivery.pk) is None  # somebody is at it

    Delivery.objects.update(claimed_until=now - timedelta(seconds=1))
    delivering.deliver(delivery.pk)

    assert [headers["webhook-id"] for _, headers, _ in chat.got] == [str(delivery.uid)]


def test_a_generic_webhook_is_signed_over_its_id_time_and_body(chat, settings):
    settings.NOTIFY_WEBHOOKS = [f"{chat.url}/generic"]
    settings.NOTIFY_WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    prepare()
    audit.record(LEAD, "rollback", "rolled back 10 → 0 %: motor <faults>", at=system_clock().now())
    send_all()

    _, headers, body = next(one for one in chat.got if one[0].endswith("/generic"))
    identity, timestamp = headers["webhook-id"], int(headers["webhook-timestamp"])
    assert headers["webhook-signature"] == signature(settings.NOTIFY_WEBHOOK_SECRET, identity, timestamp, body)
    assert '"rolled back 10 \\u2192 0 %: motor <faults>"'.strip('"') in body.decode()
    assert any("motor &lt;faults&gt;" in text for text in [one["text"] for one in chat.bodies() if "text" in one])


def test_a_webhook_without_a_secret_is_not_called_unsigned(chat, settings):
    settings.NOTIFY_WEBHOOKS = [f"{chat.url}/generic"]
    settings.NOTIFY_WEBHOOK_SECRET = ""
    prepare()
    voted()
    send_all()

    assert not any(path.endswith("/generic") for path, _, _ in chat.got)
    assert "NOTIFY_WEBHOOK_SECRET" in Delivery.objects.get(destination="webhook:1").failure


def test_mail_reaches_a_real_server_and_is_tried_again_while_it_is_busy(mailbox):
    mailbox.busy = 1
    alerting.tell("silent front-a", "front-a does not answer", severity="critical", at=system_clock().now())

    (first,) = send_all()
    assert (first.state, first.failure) == ("waiting", "oncall@example.org: 451 try again later")
    later(1)
    send_all()

    (mail,) = mailbox.mails
    assert mail["Subject"] == "[Lekiwi] 2 messages: 1 alert, 1 escalation"
    assert str(first.uid) in mail["Message-ID"]
    assert "front-a does not answer" in mail.get_payload()


def test_an_address_that_the_mail_server_does_not_know_is_given_up(mailbox, settings):
    settings.NOTIFY_EMAIL = ["nobody@example.org"]
    prepare()
    alerting.tell("x", "x is wrong", severity="critical", at=system_clock().now())

    (delivery,) = send_all()

    assert (delivery.state, delivery.failure) == ("failed", "nobody@example.org: 550 no such user")


def test_any_service_that_apprise_knows_is_a_destination(chat, settings):
    settings.NOTIFY_APPRISE = [chat.url.replace("http://", "json://"), "json://127.0.0.1:1/"]
    prepare()
    alerting.tell("x", "x is wrong", severity="warning", at=system_clock().now())

    send_all()

    assert "x is wrong" in next(one for one in chat.bodies() if "message" in one)["message"]
    refused = Delivery.objects.get(destination="apprise:2")
    assert refused.state == "waiting"
    assert refused.failure.startswith("apprise: ")


def test_an_address_is_a_secret_that_no_row_and_no_answer_holds(chat, settings):
    settings.NOTIFY_STATUS_WEBHOOK = "http://127.0.0.1:1/services/T0/very-secret"
    voted()
    send_all()

    client = APIClient()
    client.force_login(person(Role.MONITORING))
    told = client.get("/api/v2/migration/alerts/deliveries").content.decode()
    assert "no answer: ConnectError" in told
    assert "very-secret" not in told


def test_two_notifiers_tell_each_thing_once(chat):
    voted()
    now = system_clock().now()

    assert (collecting.collect(now), collecting.collect(now)) == (1, 0)
    assert (len(dispatching.dispatch(now)), len(dispatching.dispatch(now))) == (1, 0)
    assert Notification.objects.count() == 1


def test_a_notifier_that_stands_still_is_a_guard_that_locks_steps_forward(chat):
    from migration import evidence

    now = system_clock().now()
    assert "notifier" in {guard.name for guard in evidence.guards(now) if not guard.is_alive}
    pulses.beat("notifier")
    assert "notifier" in {guard.name for guard in evidence.guards(system_clock().now()) if guard.is_alive}
