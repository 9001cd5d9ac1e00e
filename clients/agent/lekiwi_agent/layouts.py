"""Ports, programs and units of a robot: data per kind and site, read from TOML."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

BUILT_IN = Path(__file__).with_name("layouts.toml")


class BadLayout(ValueError):
    """A layout that cannot be used: which one, which field, and why."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What to look at on one kind of robot; layouts.toml explains each field."""

    command_ports: frozenset[int] = frozenset()
    observation_ports: frozenset[int] = frozenset()
    other_ports: frozenset[int] = frozenset()
    command_timeout_ms: float = 500.0
    command_hz: float = 30.0
    handshake_bytes: int = 128
    handshake_segments: int = 4
    least_command_bytes: int = 40
    host_programs: tuple[str, ...] = ()
    host_listens: bool = True
    host_runs_for_s: float | None = None
    host_runs_for_option: str = ""
    units: tuple[str, ...] = ()

    @property
    def ports(self) -> frozenset[int]:
        """All ports whose connections are looked at."""
        return self.command_ports | self.observation_ports | self.other_ports


def layout_for(kind: str, site: str, more: Path | None = None) -> Layout:
    """The layout of this kind at this site, then of the kind. Raises BadLayout, or OSError for an unreadable file."""
    known = _tables(BUILT_IN) | (_tables(more) if more else {})
    for name in (f"{kind}@{site}", kind):
        if name in known:
            return read_layout(name, known[name])
    raise BadLayout(f"no layout for kind {kind!r}: known are {', '.join(sorted(known))}")


def read_layout(name: str, said: Any) -> Layout:
    """One table as a layout. Raises BadLayout."""
    if not isinstance(said, Mapping):
        raise BadLayout(f"{name}: not a table")
    unknown = set(said) - {field.name for field in fields(Layout)}
    if unknown:
        raise BadLayout(f"{name}.{min(unknown)}: no such field")
    read: dict[str, Any] = {}
    for field, value in said.items():
        try:
            read[field] = _READERS[field](value)
        except ValueError as error:
            raise BadLayout(f"{name}.{field}: {error}") from error
    layout = Layout(**read)
    if layout.command_ports & layout.observation_ports:
        raise BadLayout(f"{name}.observation_ports: a port is for commands or for observations, not for both")
    return layout


def _tables(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadLayout(f"{path}: {error}") from error


def _ports(value: Any) -> frozenset[int]:
    if not isinstance(value, list) or not all(_is_whole(each) and 1 <= each <= 65_535 for each in value):
        raise ValueError("a list of ports from 1 to 65535")
    return frozenset(value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError("a list of words")
    return tuple(value)


def _units(value: Any) -> tuple[str, ...]:
    units = _texts(value)
    if any(unit.startswith("-") for unit in units):
        raise ValueError("a unit's name does not begin with a dash")
    return units


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ValueError("a number greater than 0")
    return float(value)


def _count(value: Any) -> int:
    if not _is_whole(value) or value < 0:
        raise ValueError("a whole number from 0")
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_READERS = {
    "command_ports": _ports,
    "observation_ports": _ports,
    "other_ports": _ports,
    "command_timeout_ms": _positive,
    "command_hz": _positive,
    "handshake_bytes": _count,
    "handshake_segments": _count,
    "least_command_bytes": _count,
    "host_programs": _texts,
    "host_listens": _flag,
    "host_runs_for_s": _positive,
    "host_runs_for_option": _text,
    "units": _units,
}
