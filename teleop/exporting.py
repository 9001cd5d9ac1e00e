"""The history of sessions as a Parquet file."""

import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from arro3.core import Array, DataType, Field, Schema, Table
from arro3.io import write_parquet

MEDIA_TYPE = "application/vnd.apache.parquet"
_TEXT, _NUMBER, _COUNT, _FLAG = DataType.utf8(), DataType.float64(), DataType.int64(), DataType.bool()
_MOMENT = DataType.timestamp("us", tz="UTC")
#: column → its type, in order; a list of operators is one text, as in the CSV
COLUMNS: Mapping[str, DataType] = {
    **{"id": _TEXT, "robot_id": _TEXT, "kind": _TEXT, "site": _TEXT, "state": _TEXT, "driver": _TEXT},
    **{"operators": _TEXT, "contested": _FLAG, "basis": _TEXT, "confidence": _NUMBER},
    **{"began_at": _MOMENT, "began_known_at": _MOMENT, "lost_at": _MOMENT, "ended_at": _MOMENT},
    **{"ended_known_at": _MOMENT, "ending": _TEXT, "losses": _COUNT, "duration_seconds": _NUMBER, "samples": _COUNT},
    **{"latency_ms": _NUMBER, "highest_latency_ms": _NUMBER, "fps": _NUMBER, "lowest_fps": _NUMBER},
    **{"loss_percent": _NUMBER, "highest_loss_percent": _NUMBER},
}


def parquet(rows: Iterable[Mapping[str, Any]], names: Iterable[str] = COLUMNS) -> bytes:
    """Rows as the API shows them → the file, with the columns `names`."""
    shown = list(rows)
    chosen = [name for name in COLUMNS if name in set(names)]
    schema = Schema([Field(name, COLUMNS[name], nullable=True) for name in chosen])
    columns = [_column([_cell(row[name], COLUMNS[name]) for row in shown], COLUMNS[name]) for name in chosen]
    file = io.BytesIO()
    write_parquet(Table.from_arrays(columns, schema=schema), file)
    return file.getvalue()


def _column(values: list[Any], kind: DataType) -> Array:
    """Moments come as numbers, which become moments."""
    return Array(values, _COUNT).cast(kind) if kind == _MOMENT else Array(values, kind)


def _cell(value: Any, kind: DataType) -> Any:
    if value is None:
        return None
    if kind == _MOMENT:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return int(moment.astimezone(UTC).timestamp() * 1_000_000)
    if isinstance(value, list):
        return ";".join(value)
    return str(value) if kind == _TEXT else value
