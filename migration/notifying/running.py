"""The notifier's round: collect, escalate, group, and hand what is due to threads that may wait for a receiver."""

from concurrent.futures import Future, ThreadPoolExecutor

import structlog
from django.db import Error as DatabaseError
from django.db import connections

from migration import pulses
from migration.alerts import escalating
from migration.clock import system_clock
from migration.models import Delivery
from migration.notifying import collecting, delivering, dispatching

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.5
_SENDERS = 8


class Notifier:
    """One process of it is enough; two do no harm."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_SENDERS, thread_name_prefix="sender")
        self._sending: dict[int, Future[None]] = {}

    def tick(self) -> None:
        """One round. A receiver that hangs delays only what goes to it."""
        prepare()
        self._forget_done()
        for delivery in delivering.due(system_clock().now()):
            if delivery.pk not in self._sending:
                self._sending[delivery.pk] = self._pool.submit(_send, delivery.pk)
        pulses.beat("notifier", _figures())

    def _forget_done(self) -> None:
        """Forget senders that are done; what one raised ends this process, whose supervisor starts it again."""
        for pk in [pk for pk, future in self._sending.items() if future.done()]:
            self._sending.pop(pk).result()


def prepare() -> list[Delivery]:
    """All of a round but the sending: what happened becomes deliveries."""
    now = system_clock().now()
    dispatching.register()
    collecting.collect(now)
    escalating.escalate(now)
    return dispatching.dispatch(now)


def _send(delivery_id: int) -> None:
    try:
        delivering.deliver(delivery_id)
    except DatabaseError as error:
        log.warning("delivery.database", delivery=delivery_id, error=str(error))
    finally:
        connections.close_all()


def _figures() -> dict[str, int]:
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING)
    return {"waiting": waiting.count(), "failing": waiting.filter(attempts__gt=0).count()}
