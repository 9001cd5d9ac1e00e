"""Many robots in one body: JSON or CSV, checked row by row, all or nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from heartbeat.api.csv_text import LIST_SEPARATOR, Table
from heartbeat.api.problems import flat
from heartbeat.api.serializers import RobotSettings, Text
from heartbeat.rules.identity import key_of, why_no_bucket

MOST_ROWS = 10_000
_TIMES = ("expected_interval_seconds", "grace_seconds")


@extend_schema_field({"type": "string", "minLength": 1, "maxLength": 128, "pattern": r"^[^\x00-\x1f\x7f]+$"})
class RobotId(Text):
    """An id that has a bucket: others cannot be told from a fault. At most 128 bytes, no control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        """The id, or why it is none."""
        robot_id = super().to_internal_value(data)
        if reason := why_no_bucket(robot_id):
            raise ValidationError(reason)
        return robot_id


class RobotEntry(RobotSettings):
    """One robot to enter, or to set something of."""

    id = RobotId()
    site = Text(max_length=64, required=False, allow_blank=True, help_text="a v2 robot that names its site wins")


class EntryResult(serializers.Serializer):
    """What became of the rows."""

    created = serializers.IntegerField(help_text="robots that were not known before; they are listed as never heard")
    updated = serializers.IntegerField(help_text="robots that were known")


def entries_of(body: Any) -> list[dict[str, Any]]:
    """The rows of a parsed body (CSV lines, a JSON array, or one object), each an `id` and the settings it names.

    Raises RowsRefused with `row`, `field` and `reason` of all that is wrong; a CSV row is numbered by its line,
    a JSON row from 1. Raises ValidationError for what has no rows.
    """
    numbered = list(_numbered(body))
    if len(numbered) > MOST_ROWS:
        raise ValidationError({"rows": [f"there are {len(numbered)}, at most {MOST_ROWS} are taken"]})
    rows: list[dict[str, Any]] = []
    wrong: list[dict[str, Any]] = []
    seen: dict[bytes, int] = {}
    for number, given in numbered:
        entry = RobotEntry(data=given)
        if not entry.is_valid():
            wrong.extend(_reasons(number, entry.errors))
            continue
        row = entry.validated_data
        first = seen.setdefault(key_of(row["id"]), number)
        if first != number:
            wrong.append({"row": number, "field": "id", "reason": f"is the robot of row {first} again"})
        rows.append(row)
    if wrong:
        raise RowsRefused(wrong)
    return rows


class RowsRefused(Exception):
    """Some rows of a body are wrong, so none was taken."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        first = f"row {errors[0]['row']}: {errors[0]['field']}: {errors[0]['reason']}"
        super().__init__(f"{first} ({len(errors)} faults in all; nothing was changed)")
        self.errors = errors


def _numbered(body: Any) -> Iterator[tuple[int, Any]]:
    if isinstance(body, Table):
        _require_columns(body.columns)
        return ((line, _from_cells(cells)) for line, cells in body.rows)
    if not isinstance(body, list | dict):
        raise ValidationError("send an array of robots, or one")
    return iter(enumerate(body if isinstance(body, list) else [body], 1))


def _require_columns(columns: Sequence[str]) -> None:
    known = RobotEntry().fields
    wrong = {name: [f"is not a column; there are {', '.join(known)}"] for name in columns if name not in known}
    if "id" not in columns:
        wrong["id"] = ["is needed as a column"]
    if wrong:
        raise ValidationError(wrong)


def _from_cells(cells: Mapping[str, str]) -> dict[str, Any]:
    """What the cells of a CSV row mean: an empty one takes a setting back."""
    row: dict[str, Any] = dict(cells)
    if "tags" in row:
        row["tags"] = [tag.strip() for tag in row["tags"].split(LIST_SEPARATOR) if tag.strip()]
    for name in _TIMES:
        if name in row:
            row[name] = _number(row[name])
    return row


def _number(cell: str) -> Any:
    try:
        return float(cell) if cell.strip() else None
    except ValueError:
        return cell


def _reasons(number: int, errors: Any) -> Iterable[dict[str, Any]]:
    return ({"row": number, **error} for error in flat(errors))
