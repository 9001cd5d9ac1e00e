"""Why a heartbeat was not taken."""


class NotRecorded(Exception):
    """The base of the reasons below."""


class Unavailable(NotRecorded):
    """The database cannot be asked now, or too much is waiting; try again after `retry_after_seconds`."""

    def __init__(self, reason: str, retry_after_seconds: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Unstorable(NotRecorded):
    """PostgreSQL refused this very row; its neighbours were stored."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Misplaced(Exception):
    """Heartbeats were not stored, and no copy of them is in the log: their robots' registers were deleted meanwhile."""


class HistoryBusy(Exception):
    """Somebody holds what keeping the history needs; nothing is lost, the next run tries again."""


class ClockNotCorrected(Exception):
    """There is nothing to put right, or not in this way."""
