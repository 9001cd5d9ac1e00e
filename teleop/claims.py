"""Taking in what legacy's own record claims of robots' operation."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from heartbeat.rules.identity import key_of

#: a claim that stands is stored again after this, so that its age can be told without a write per look
RENEW_SECONDS = 15.0
#: what was not read for longer legacy does not say any more
FRESH = timedelta(seconds=60)

_TAKE_IN = """
INSERT INTO teleop_legacyclaim AS c (robot_key, robot_id, operated, field, since, read_at)
SELECT DISTINCT ON (key) key, id, operated, field, %(now)s, %(now)s
FROM unnest(%(keys)s::bytea[], %(ids)s::text[], %(operated)s::boolean[], %(fields)s::text[])
    AS given(key, id, operated, field)
ON CONFLICT (robot_key) DO UPDATE SET robot_id = excluded.robot_id, operated = excluded.operated,
    field = excluded.field, read_at = excluded.read_at,
    since = CASE WHEN c.operated = excluded.operated THEN c.since ELSE excluded.since END
WHERE (c.operated, c.field) IS DISTINCT FROM (excluded.operated, excluded.field)
    OR c.read_at < excluded.read_at - %(renew)s * interval '1 second'
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """Of one robot: what `field` of legacy's record says."""

    robot_id: str
    operated: bool
    field: str


def take_in(claims: Iterable[Claim], now: datetime) -> None:
    """Keep what legacy says now. Safe to call at every look: what stands is written every `RENEW_SECONDS`."""
    said = list(claims)
    if not said:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE_IN,
            {
                "now": now,
                "renew": RENEW_SECONDS,
                "keys": [key_of(claim.robot_id) for claim in said],
                "ids": [claim.robot_id for claim in said],
                "operated": [claim.operated for claim in said],
                "fields": [claim.field for claim in said],
            },
        )
