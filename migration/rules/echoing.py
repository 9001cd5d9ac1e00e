"""Rows of legacy's that say only what `new` told it (DESIGN.md, invariant 3)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from heartbeat.rules.relaying import is_echo
from heartbeat.rules.rows import naive_local


@dataclass(frozen=True, slots=True)
class Words:
    """What legacy was told of a row: a heartbeat's body, when that was so, and between which moments it was told."""

    body: Mapping[str, Any]
    at: datetime
    sent_at: datetime
    acknowledged_at: datetime

    def are_echoed_by(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of legacy's is nothing but this."""
        return is_echo(row, self.body, self.sent_at, self.acknowledged_at)


def in_the_robots_time(row: Mapping[str, Any], told: Iterable[Words]) -> Mapping[str, Any]:
    """A row of legacy's with the `last_seen` of the heartbeat that it was told of.

    Legacy stamps with the moment at which it was told, which may be as much later as the way back may take.
    """
    echoed = next((words for words in told if words.are_echoed_by(row)), None)
    return row if echoed is None else {**row, "last_seen": naive_local(echoed.at)}
