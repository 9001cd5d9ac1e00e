"""Comparing bodies after what legacy itself varies in: noise is learnt from legacy against itself, never assumed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from migration.rules.comparing import LAST_SEEN_BOUND_SECONDS, canonical, seconds_apart

#: a leaf's place with every list's index or id taken out: what is noisy in one row is in all
_ELEMENT = re.compile(r"\[[^\]]*\]")
#: clock readings of each system's own: within the allowed lag they are the same
_CLOCKS = ("last_seen", "timestamp", "checked_at")
_ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class BodyDifference:
    """A place in a body where `new` answered neither what legacy did before nor what it did after."""

    path: str
    legacy: str
    new: str

    @property
    def place(self) -> str:
        """The path without indexes and ids."""
        return general(self.path)


@dataclass(slots=True)
class Noise:
    """Places where legacy differed from itself, and of which types its values there were."""

    types: dict[str, set[str]] = field(default_factory=dict)

    def learn(self, one: Any, other: Any) -> None:
        """Two answers of legacy to the same call."""
        ours, theirs = dict(leaves(one)), dict(leaves(other))
        for path in {*ours, *theirs}:
            values = ours.get(path, _ABSENT), theirs.get(path, _ABSENT)
            if values[0] != values[1] and not _same_moment(path, *values):
                self.types.setdefault(general(path), set()).update(map(_type_of, values))

    def allows(self, difference: BodyDifference) -> bool:
        """Whether legacy differs from itself there too, with values of the type that `new` answered."""
        return _type_of(difference.new) in self.types.get(difference.place, ())


def differences(before: Any, new: Any, after: Any) -> list[BodyDifference]:
    """Where `new` answered something else than legacy before and legacy after it (a live fleet moves meanwhile)."""
    first, middle, last = (dict(leaves(body)) for body in (before, new, after))
    found = []
    for path in sorted({*first, *middle, *last}):
        value = middle.get(path, _ABSENT)
        allowed = first.get(path, _ABSENT), last.get(path, _ABSENT)
        if value not in allowed and not any(_same_moment(path, one, value) for one in allowed):
            found.append(BodyDifference(path, allowed[0], value))
    return found


def leaves(body: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf of a JSON value as (path, its JSON text). Rows of a list are named by their ids, where they have one.

    The order of a list of rows with ids is not compared: it is that in which each system first heard them.
    """
    if isinstance(body, Mapping):
        yield f"{path}{{}}", "object"
        for key, value in body.items():
            yield from leaves(value, f"{path}.{key}")
    elif isinstance(body, list):
        yield f"{path}[]", "list"
        for index, value in enumerate(body):
            yield from leaves(value, f"{path}[{_name_of(value, index)}]")
    else:
        yield path, canonical(body)


def general(path: str) -> str:
    """A path with every element of a list named alike."""
    return _ELEMENT.sub("[]", path)


def _name_of(value: Any, index: int) -> str:
    if isinstance(value, Mapping):
        for key in ("robot_id", "id"):
            if isinstance(value.get(key), str):
                return str(value[key]).replace("]", ")").replace("[", "(")
    return str(index)


def _type_of(value: str) -> str:
    if value in (_ABSENT, "object", "list", "null"):
        return value
    return {'"': "string", "t": "boolean", "f": "boolean"}.get(value[0], "number")


def _same_moment(path: str, one: str, other: str) -> bool:
    key = path.rpartition(".")[2]
    if key == "package_path":
        return one.rpartition("/")[2] == other.rpartition("/")[2]
    if key not in _CLOCKS:
        return False
    apart = seconds_apart(one.strip('"'), other.strip('"'))
    return apart is not None and apart <= LAST_SEEN_BOUND_SECONDS
