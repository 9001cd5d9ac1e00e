"""A worker outlives its broker."""

from typing import Any

import pytest
from django.conf import settings
from kombu import Connection, Consumer, Queue

from config.celery import app

QUEUE = Queue("test-broker")


@pytest.fixture
def broken() -> Any:
    """A channel under a running task, whose connection has been given up."""
    with Connection(settings.CELERY_BROKER_URL) as connection:
        channel = connection.channel()
        connection.Producer(channel).publish({"shift": 1}, routing_key=QUEUE.name, declare=[QUEUE(channel)])
        with Consumer(channel, [QUEUE], callbacks=[lambda body, message: None]):
            connection.drain_events(timeout=5)
            transport, address = channel.connection, channel.connection.client
            transport.client = None
            yield channel
            transport.client = address


def test_a_connection_that_was_lost_under_a_running_task_can_be_closed(broken: Any) -> None:
    assert app.main == "lekiwi"  # a worker has it by this
    assert len(broken.qos._delivered) == 1

    broken.close()

    assert broken.closed
