"""The SQL that ingest (asyncpg) and Django (psycopg) share: functions of the database (migration 0005)."""

from collections.abc import Sequence
from typing import NamedTuple

from heartbeat.rules.identity import bucket_of, displayable, key_of
from heartbeat.rules.kind import kind_from_word
from heartbeat.rules.tags import in_order


class Entry(NamedTuple):
    """A robot as it is entered before it is heard: the parameters of `heartbeat_enter_robot`."""

    key: bytes
    robot_id: str
    bucket: int | None
    kind_by_id: str
    kind: str
    site: str
    tags: list[str]


def entry_of(robot_id: str, kind: str = "", site: str = "", tags: Sequence[str] = ()) -> Entry:
    """What is entered of a robot; `kind` is any word that tells one (`xlerobot`)."""
    return Entry(
        key_of(robot_id),
        displayable(robot_id),
        bucket_of(robot_id),
        kind_from_word(robot_id),
        kind_from_word(kind),
        site,
        in_order(tags),
    )


#: parameters: the SHA-256 of the enrolment token, an Entry, and the new token's SHA-256 and prefix
ENROL_TYPES = ("bytea", "bytea", "text", "smallint", "text", "text", "text", "text[]", "bytea", "text")
ENTER_TYPES = ENROL_TYPES[1:8]


def numbered(function: str, types: Sequence[str]) -> str:
    """A call of a set-returning function with asyncpg's parameters."""
    return f"SELECT * FROM {function}({', '.join(f'${number}::{kind}' for number, kind in enumerate(types, 1))})"


def marked(function: str, types: Sequence[str]) -> str:
    """The same with psycopg's parameters."""
    return f"SELECT * FROM {function}({', '.join(f'%s::{kind}' for kind in types)})"
