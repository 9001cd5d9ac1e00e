"""Which deployments of `new` legacy can be told of: its API knows only to offer an earlier one again."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]

#: as `heartbeat.rules.updates.rolled_back` and legacy itself write it
_TARGET = re.compile(r"\(([^()\s]+)\)$")


@dataclass(frozen=True, slots=True)
class Sayable:
    """A deployment that was made at `new`, and the one that legacy has to offer again for it."""

    new_id: str
    target_id: str


def told_back(
    new: Sequence[Document], legacy: Sequence[Document], mapped: Collection[str]
) -> tuple[list[Sayable], list[str]]:
    """What legacy can be told of (oldest first), and the ids of what it cannot. `mapped`: ids that it was told of."""
    there = {document["id"] for document in legacy}
    sayable, unsayable = [], []
    for document in new:
        new_id = document["id"]
        if new_id in there or new_id in mapped:
            continue
        target = _target(document)
        if target in there:
            sayable.append(Sayable(new_id, target))
        else:
            unsayable.append(new_id)
    return sayable, unsayable


def made_by_legacy(target_id: str, since: str, legacy: Sequence[Document], taken: Collection[str]) -> str | None:
    """The deployment that legacy made when it was asked for `target_id` at `since` (naive local ISO), if it did."""
    for document in legacy:
        is_fresh = str(document.get("timestamp", "")) >= since and document["id"] not in taken
        if document.get("is_rollback") and is_fresh and _target(document) == target_id:
            return str(document["id"])
    return None


def _target(document: Document) -> str:
    if not document.get("is_rollback"):
        return ""
    found = _TARGET.search(str(document.get("message") or ""))
    return found[1] if found else ""
