"""What an entry of the audit log says: why, before, after, whatever the action called them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_WHY = ("why", "reason", "comment", "because")
#: names that a few actions gave to what was before and after, percent and phase
_BEFORE = ("from_percent", "from_phase")
_AFTER = ("to_percent", "to_phase")


@dataclass(frozen=True, slots=True)
class Facets:
    """The parts of an entry's detail. `before` and `after` are None where nothing was changed or it was not said."""

    why: str
    before: Any
    after: Any
    #: what else the detail holds
    rest: Mapping[str, Any]


def facets(detail: Mapping[str, Any]) -> Facets:
    """Take a detail apart."""
    why = next((str(detail[name]) for name in _WHY if detail.get(name)), "")
    before, after = detail.get("before"), detail.get("after")
    taken = {*_WHY, "before", "after"}
    if before is None and after is None:
        before = {name.removeprefix("from_"): detail[name] for name in _BEFORE if name in detail} or None
        after = {name.removeprefix("to_"): detail[name] for name in _AFTER if name in detail} or None
        taken |= {*_BEFORE, *_AFTER}
    return Facets(why, before, after, {name: value for name, value in detail.items() if name not in taken})
