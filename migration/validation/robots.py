"""Does every robot of `new` agree with its own rows? Both are derived from the same heartbeats, in one transaction."""

from django.db import connection

from migration.rules.comparing import WHOLE, Difference

#: a robot that last spoke v2 is told by that alone; the others by the newest heartbeat of all their spellings
_DISAGREEING = """
WITH newest AS (
    SELECT DISTINCT ON (s.robot_key) s.robot_key, s.robot_id, w.status_at, w.status, w.version, w.deployment_id,
           w.message, w.health
    FROM heartbeat_legacyrow w JOIN heartbeat_spelling s ON s.key = w.key
    ORDER BY s.robot_key, w.status_at DESC NULLS LAST
)
SELECT coalesce(n.robot_id, r.robot_id), field.name, field.row_says, field.robot_says
FROM newest n FULL JOIN (SELECT * FROM heartbeat_robot WHERE first_seen_at IS NOT NULL) r ON r.key = n.robot_key
CROSS JOIN LATERAL (VALUES
    ('row', CASE WHEN n.robot_key IS NULL THEN 'absent' ELSE 'present' END,
            CASE WHEN r.key IS NULL THEN 'absent' ELSE 'present' END),
    ('status', coalesce(n.status, ''), r.status), ('version', n.version, r.version),
    ('deployment_id', n.deployment_id, r.deployment_id), ('message', n.message, r.message),
    ('health', n.health::text, r.health::text)
) AS field(name, row_says, robot_says)
WHERE field.row_says IS DISTINCT FROM field.robot_says
  AND (field.name = 'row' OR (n.robot_key IS NOT NULL AND r.key IS NOT NULL AND n.status_at IS NOT NULL
       AND n.status_at = r.last_status_at AND r.last_v2_at IS DISTINCT FROM r.last_status_at))
ORDER BY 1, 2
LIMIT 1000
"""


def disagreeing() -> list[Difference]:
    """What robots and their rows say differently, in one snapshot: `legacy` is the row's value, `new` the robot's."""
    with connection.cursor() as cursor:
        cursor.execute(_DISAGREEING)
        return [Difference(robot_id, WHOLE if name == "row" else name, *said) for robot_id, name, *said in cursor]
