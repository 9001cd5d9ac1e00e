"""Redis as the broker: a worker must outlive it."""

from typing import Any

from kombu.transport import redis


class Deliveries(redis.QoS):
    """What a worker took and has not finished."""

    def restore_unacked(self, client: Any = None) -> None:
        """Give it back, while there is somebody to give it to.

        A connection that was lost has no address any more: kombu's own then raises `AttributeError`, which ends the
        worker (seen with kombu 5.7 when Redis is killed under a running task). Redis gives such tasks out again when
        their time is over, and who wants them done offers them again long before.
        """
        if self.channel.connection.client is None:
            self._delivered.clear()
            return
        super().restore_unacked(client)


def outlive_redis() -> None:
    """Let every connection to Redis use it."""
    redis.Channel.QoS = Deliveries
