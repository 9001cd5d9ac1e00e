"""The statements that store a batch of calls and move the state they add up to: one round trip a commit.

Every part of the state is the latest of something (heartbeat, update check, v2 heartbeat, any call), guarded by its
own time. So applying is idempotent and the order does not matter: late heartbeats never move it backwards, and the
same statement without its first half rebuilds the state from the log (`heartbeat.rebuilding`).
A batch in which nobody speaks twice needs no search for each one's latest: it has a statement of its own, which is
what a large fleet uses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from heartbeat.ingest.beat import Beat
from heartbeat.ingest.columns import LEGACY_INPUT, V2_INPUT, V2_WORDS

_LOGGED = ("received_at", "request_id", "role", "side", "address", "status", "message")
_LEGACY_LOGGED = (
    *_LOGGED,
    "call",
    "deployment_id",
    "version",
    "health",
    "current_version",
    "group",
    "exact",
)
_V2_LOGGED = (
    *(*_LOGGED, "boot_id", "sequence", "sent_at", "profile_id"),
    *("battery_percent", "cpu_temperature_celsius", "cpu_load_percent", "memory_percent", "disk_percent"),
    *("rssi_dbm", "rtt_ms", "x_vel", "y_vel", "theta_vel", "next_in_s"),
    *("command_age_ms", "command_rate_hz", "watchdog_active", "observers", "host_up", "driver", "services", "rest"),
)

_SEEN = ("robot_id", "address")
_SAID = ("status", "version", "deployment_id", "message", "health")
_ASKED = ("group", "kind_by_group")
_TOLD = ("battery_percent", "payload", "sent_at")
#: a heartbeat that does not say them changes none of them
_SAID_ONCE = ("reported_kind", "site", "firmware")
_ROW_SAID = _SAID
_ROW_ASKED = ("current_version", "group")


@dataclass(frozen=True, slots=True)
class Statements:
    """For one kind of call: store and apply, when nobody speaks twice and in general; and apply alone.

    `record_new` is for a batch in which nobody speaks twice and nothing is known to be stored: looking for a conflict
    at each row, and joining what was stored to what came, costs a quarter of the whole. The log's unique indexes refuse
    the batch if something was stored after all.
    """

    record_new: str
    record_once_each: str
    record: str
    apply: str
    #: whether each spelling has a row of state, too
    moves_rows: bool

    @property
    def recording(self) -> tuple[str, str, str]:
        """Those that store, to be prepared."""
        return self.record_new, self.record_once_each, self.record

    def for_batch(self, beats: Sequence[Beat], *, expects_copies: bool) -> str:
        """What stores these beats, of which some may have been stored before."""
        if len({beat.robot_key for beat in beats}) == len(beats) == len({beat.row_key for beat in beats}):
            return self.record_once_each if expects_copies else self.record_new
        return self.record

    def moves(self, stored: Sequence[Beat]) -> int:
        """How many rows of state beats move that were stored."""
        robots = len({beat.robot_key for beat in stored})
        return robots + len({beat.row_key for beat in stored}) if self.moves_rows else robots


def _names(columns: Sequence[str], prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{name}"' for name in columns)


def _parameter(number: int, kind: str) -> str:
    """An array literal (`heartbeat.ingest.arrays`), bytes in it as hexadecimal digits."""
    return f"${number}::text::{'text' if kind == 'bytea' else kind}[]"


def _input(columns: dict[str, str], words: dict[str, str]) -> str:
    """The rows: a parameter a column, then what `words` says is sent once for all that say the same."""
    given = ", ".join(_parameter(n, kind) for n, kind in enumerate(columns.values(), 1))
    taken = [f'{_read(name, kind)} AS "{name}"' for name, kind in columns.items()]
    taken += [
        f'((SELECT {_parameter(n, kind)}))[words] AS "{name}"'
        for n, (name, kind) in enumerate(words.items(), len(columns) + 1)
    ]
    return f"input AS MATERIALIZED (SELECT {', '.join(taken)} FROM unnest({given}) AS given({_names(list(columns))}))"


def _read(name: str, kind: str) -> str:
    if name == "at":  # sent when it is not the same
        return "coalesce(at, received_at)"
    return f"decode(\"{name}\", 'hex')" if kind == "bytea" else f'"{name}"'


def _stored(columns: Sequence[str], more: Sequence[tuple[str, str]]) -> str:
    """Insert all rows."""
    names = [*(f'"{name}"' for name in columns), *(f'"{name}"' for name, _ in more)]
    values = [*(f'input."{name}"' for name in columns), *(value for _, value in more)]
    return f"""stored AS (
    INSERT INTO heartbeat_heartbeat (spelling_id, {", ".join(names)})
    SELECT s.id, {", ".join(values)} FROM input JOIN heartbeat_spelling s ON s.key = input.row_key
    {{unless_stored}} RETURNING received_at
)"""


_ALL = "applied AS NOT MATERIALIZED (SELECT * FROM input)"
#: the rows that were not stored before, by the unique indexes of their day
_NEW = "applied AS MATERIALIZED (SELECT input.* FROM input JOIN stored USING (received_at))"


def _take(source: str, moment: str, columns: dict[str, str], when: str, at: str) -> str:
    """SET clauses: the new values and their moment, where `when` holds and what is stored is not later."""
    newer = f"{when} AND {source}.{at} >= coalesce(r.{moment}, '-infinity')"
    clauses = [f'"{name}" = CASE WHEN {newer} THEN {value} ELSE r."{name}" END' for name, value in columns.items()]
    return ", ".join([*clauses, f"{moment} = CASE WHEN {newer} THEN {source}.{at} ELSE r.{moment} END"])


def _of(source: str, columns: Sequence[str]) -> dict[str, str]:
    return {name: f'{source}."{name}"' for name in columns}


def _status(source: str) -> dict[str, str]:
    return {**_of(source, _SAID[1:]), "status": f"coalesce({source}.status, '')"}


def _seen(source: str, protocol: str) -> str:
    values = {**_of(source, _SEEN), "last_side": f"{source}.side", "last_role": f"{source}.role"}
    return _take(source, "last_seen_at", {**values, "protocol": f"'{protocol}'"}, "true", "received_at")


_LEGACY_OWNED, _V2_OWNED = "role = 'owner' AND call = 'status'", "role = 'owner'"
_LATEST = """
seen AS (SELECT DISTINCT ON (robot_key) * FROM applied ORDER BY robot_key, received_at DESC),
since AS (
    SELECT robot_key, min(received_at) AS first_seen_at, max(received_at) FILTER (WHERE {owned}) AS owner_at{more}
    FROM applied GROUP BY robot_key
)"""


def _robots(sources: str, first: str, owner_at: str, *clauses: str) -> str:
    return f"""robots AS (
    UPDATE heartbeat_robot r SET
        first_seen_at = least(r.first_seen_at, {first}),
        last_acknowledged_as_owner_at = greatest(r.last_acknowledged_as_owner_at, {owner_at}),
        {", ".join(clauses)}
    FROM {sources} RETURNING 1
)"""


# --- legacy calls ----------------------------------------------------------------------------

_SAYS, _ASKS = "{}.call = 'status'", "{}.call = 'check_update'"


def _legacy_once_each() -> str:
    a = "a"
    robots = _robots(
        "applied a WHERE r.key = a.robot_key",
        "a.received_at",
        "CASE WHEN a.role = 'owner' AND a.call = 'status' THEN a.received_at END",
        _seen(a, "legacy"),
        _take(a, "last_status_at", _status(a), _SAYS.format(a), "at"),
        _take(a, "last_check_at", _of(a, _ASKED), _ASKS.format(a), "at"),
    )
    rows = f"""rows AS (
    UPDATE heartbeat_legacyrow r SET first_at = least(r.first_at, a.received_at),
        {_take(a, "status_at", {**_of(a, _ROW_SAID), "exact_status": "a.exact"}, _SAYS.format(a), "at")},
        {_take(a, "check_at", {**_of(a, _ROW_ASKED), "exact_check": "a.exact"}, _ASKS.format(a), "at")}
    FROM applied a WHERE r.key = a.row_key RETURNING 1
)"""
    return f"{robots},\n{rows}"


def _legacy_latest() -> str:
    says, asks = "call = 'status'", "call = 'check_update'"
    robots = _robots(
        """seen JOIN since USING (robot_key) LEFT JOIN said USING (robot_key) LEFT JOIN asked USING (robot_key)
    WHERE r.key = seen.robot_key""",
        "since.first_seen_at",
        "since.owner_at",
        _seen("seen", "legacy"),
        _take("said", "last_status_at", _status("said"), "said.at IS NOT NULL", "at"),
        _take("asked", "last_check_at", _of("asked", _ASKED), "asked.at IS NOT NULL", "at"),
    )
    said = {**_of("row_said", _ROW_SAID), "exact_status": "row_said.exact"}
    asked = {**_of("row_asked", _ROW_ASKED), "exact_check": "row_asked.exact"}
    return f"""{_LATEST.format(owned=_LEGACY_OWNED, more="")},
said AS (SELECT DISTINCT ON (robot_key) * FROM applied WHERE {says} ORDER BY robot_key, at DESC),
asked AS (SELECT DISTINCT ON (robot_key) * FROM applied WHERE {asks} ORDER BY robot_key, at DESC),
row_since AS (SELECT row_key, min(received_at) AS first_at FROM applied GROUP BY row_key),
row_said AS (SELECT DISTINCT ON (row_key) * FROM applied WHERE {says} ORDER BY row_key, at DESC),
row_asked AS (SELECT DISTINCT ON (row_key) * FROM applied WHERE {asks} ORDER BY row_key, at DESC),
{robots},
rows AS (
    UPDATE heartbeat_legacyrow r SET first_at = least(r.first_at, row_since.first_at),
        {_take("row_said", "status_at", said, "row_said.at IS NOT NULL", "at")},
        {_take("row_asked", "check_at", asked, "row_asked.at IS NOT NULL", "at")}
    FROM row_since LEFT JOIN row_said USING (row_key) LEFT JOIN row_asked USING (row_key)
    WHERE r.key = row_since.row_key RETURNING 1
)"""


# --- v2 heartbeats ---------------------------------------------------------------------------


def _v2_state(seen: str, said: str, ever: str) -> tuple[str, ...]:
    told = {**_of(said, _TOLD), "interval_seconds": f"{said}.next_in_s"}
    told |= {name: f"coalesce(nullif({ever}.{name}, ''), r.{name})" for name in _SAID_ONCE}
    run = {"boot_id": f"{said}.boot_name", **_of(said, ("sequence", "clock_offset_seconds"))}
    same_run = f"{said}.boot_name IS NOT DISTINCT FROM r.boot_id"
    since = {"boot_at": f"CASE WHEN {same_run} THEN r.boot_at ELSE {said}.received_at END"}
    in_a_run = f"{said}.boot_name IS NOT NULL AND {said}.at >= coalesce(r.last_v2_at, '-infinity')"
    kept = [f'"{n}" = CASE WHEN {in_a_run} THEN {v} ELSE r."{n}" END' for n, v in {**run, **since}.items()]
    return (
        _seen(seen, "v2"),
        _take(said, "last_status_at", _status(said), f"{said}.at IS NOT NULL", "at"),
        _take(said, "last_v2_at", told, f"{said}.at IS NOT NULL", "at"),
        *kept,
    )


def _v2_once_each() -> str:
    owner_at = "CASE WHEN a.role = 'owner' THEN a.received_at END"
    return _robots("applied a WHERE r.key = a.robot_key", "a.received_at", owner_at, *_v2_state("a", "a", "a"))


def _v2_latest() -> str:
    sources = "seen JOIN since USING (robot_key) JOIN told USING (robot_key) WHERE r.key = seen.robot_key"
    latest = "(array_agg({0} ORDER BY at DESC, sequence DESC NULLS LAST) FILTER (WHERE {0} <> ''))[1] AS {0}"
    ever = "".join(f", {latest.format(name)}" for name in _SAID_ONCE)
    return f"""{_LATEST.format(owned=_V2_OWNED, more=ever)},
told AS (SELECT DISTINCT ON (robot_key) * FROM applied ORDER BY robot_key, at DESC, sequence DESC NULLS LAST),
{_robots(sources, "since.first_seen_at", "since.owner_at", *_v2_state("seen", "told", "since"))}"""


def _counts(tables: Sequence[str], source: str) -> str:
    """How many were stored, how many rows of state they moved, and which deployments were in force."""
    moved = " + ".join(f"(SELECT count(*) FROM {table})" for table in tables)
    revision = "(SELECT revision FROM heartbeat_deploymentsrevision)"
    return f"SELECT (SELECT count(*) FROM {source}) AS stored, {moved} AS moved, {revision} AS deployments"


def _statements(given: str, stored: str, once_each: str, latest: str, tables: Sequence[str]) -> Statements:
    applied = "applied AS MATERIALIZED (SELECT * FROM input)"
    counts = _counts(tables, "stored")
    all_of_them = f"{stored.format(unless_stored='')},\n{_ALL}"
    new_ones = f"{stored.format(unless_stored='ON CONFLICT DO NOTHING')},\n{_NEW}"
    return Statements(
        record_new=f"WITH {given},\n{all_of_them},\n{once_each}\n{counts}",
        record_once_each=f"WITH {given},\n{new_ones},\n{once_each}\n{counts}",
        record=f"WITH {given},\n{new_ones},\n{latest}\n{counts}",
        apply=f"WITH {given},\n{applied},\n{latest}\n{_counts(tables, 'applied')}",
        moves_rows="rows" in tables,
    )


def _share(name: str, parameter: int) -> str:
    """A beat's own share of the numbers that the whole batch sends as one array."""
    to, count = f"input.{name}_to", f"input.{name}_count"
    return f"CASE WHEN {count} > 0 THEN ((SELECT ${parameter}::text::real[]))[{to} - {count} + 1:{to}] END"


_LATE = ("at", "nullif(input.at, input.received_at)")
LEGACY = _statements(
    _input(LEGACY_INPUT, {}),
    _stored(_LEGACY_LOGGED, [_LATE]),
    _legacy_once_each(),
    _legacy_latest(),
    ("robots", "rows"),
)
_V2_NUMBERS = len(V2_INPUT) + len(V2_WORDS)
V2 = _statements(
    _input(V2_INPUT, V2_WORDS),
    _stored(
        _V2_LOGGED,
        [
            _LATE,
            ("call", "'heartbeat'"),
            ("motors", _share("motors", _V2_NUMBERS + 1)),
            ("cameras", _share("cameras", _V2_NUMBERS + 2)),
        ],
    ),
    _v2_once_each(),
    _v2_latest(),
    ("robots",),
)
