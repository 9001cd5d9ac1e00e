"""The rarer statements of a commit: who and what is new, and what the log has already."""

#: enters who was never heard (or only enrolled), and tells what is known of their runs
MEET = """WITH input AS MATERIALIZED (
    SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::smallint[], $5::text[], $6::timestamptz[],
                         $7::text[], $8::text[])
    AS given(row_key, robot_key, robot_id, bucket, kind_by_id, at, protocol, role)
),
spellings AS (
    INSERT INTO heartbeat_spelling (key, robot_key, robot_id, first_at)
    SELECT row_key, robot_key, robot_id, at FROM input ORDER BY row_key ON CONFLICT (key) DO NOTHING
),
rows AS (
    INSERT INTO heartbeat_legacyrow (key, robot_id, first_at)
    SELECT row_key, robot_id, at FROM input ORDER BY row_key ON CONFLICT (key) DO NOTHING
)
INSERT INTO heartbeat_robot AS r (key, robot_id, bucket, kind_by_id, first_seen_at, last_seen_at, protocol, last_role)
SELECT DISTINCT ON (robot_key) robot_key, robot_id, bucket, kind_by_id, at, at, protocol, role
FROM input ORDER BY robot_key, at
ON CONFLICT (key) DO UPDATE SET
    first_seen_at = coalesce(r.first_seen_at, excluded.first_seen_at),
    last_seen_at = coalesce(r.last_seen_at, excluded.last_seen_at)
RETURNING key, sequence, clock_offset_seconds, last_v2_at,
    (SELECT b.id FROM heartbeat_boot b WHERE b.robot_key = r.key AND b.boot_id = r.boot_id) AS boot_number
"""
BOOTS = """
INSERT INTO heartbeat_boot AS b (robot_key, boot_id, first_at)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::timestamptz[]) ORDER BY 1, 2
ON CONFLICT (robot_key, boot_id) DO UPDATE SET first_at = least(b.first_at, excluded.first_at)
RETURNING id, robot_key, boot_id, first_at
"""
PROFILES = """
INSERT INTO heartbeat_profile AS p (digest, document) SELECT * FROM unnest($1::bytea[], $2::jsonb[]) ORDER BY 1
ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest RETURNING id, digest
"""
#: which of these v2 heartbeats the log has, in any day since their runs began
FIND_SEQUENCES = """
SELECT h.boot_id, h.sequence, h.received_at FROM unnest($1::integer[], $2::bigint[]) AS asked(boot_id, sequence)
JOIN heartbeat_heartbeat h ON h.boot_id = asked.boot_id AND h.sequence = asked.sequence AND h.received_at >= $3
"""
#: which of these calls the log has, received in a span that holds all their copies and retries
FIND_REQUESTS = """
SELECT request_id, received_at FROM heartbeat_heartbeat
WHERE request_id = ANY($1::uuid[]) AND received_at >= $2 AND received_at < $3
"""
#: a call that `new` knew as a copy only, and now answers for
RAISE_ROLES = """
WITH raised AS (
    UPDATE heartbeat_heartbeat h SET role = given.role
    FROM unnest($1::uuid[], $2::text[]) AS given(request_id, role)
    WHERE h.request_id = given.request_id AND h.role = 'shadow' AND given.role <> 'shadow' AND h.received_at >= $3
    RETURNING h.spelling_id, h.received_at, h.call, given.role
)
UPDATE heartbeat_robot r SET
    last_role = CASE WHEN r.last_seen_at = raised.received_at THEN raised.role ELSE r.last_role END,
    last_acknowledged_as_owner_at = CASE WHEN raised.role = 'owner' AND raised.call <> 'check_update'
        THEN greatest(r.last_acknowledged_as_owner_at, raised.received_at) ELSE r.last_acknowledged_as_owner_at END
FROM (
    SELECT DISTINCT ON (s.robot_key) s.robot_key, raised.*
    FROM raised JOIN heartbeat_spelling s ON s.id = raised.spelling_id ORDER BY s.robot_key, raised.received_at DESC
) AS raised WHERE r.key = raised.robot_key
"""
