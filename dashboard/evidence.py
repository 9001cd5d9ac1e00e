"""A gate's evidence as lines: a label, a figure, and a mark where a part has its own verdict."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.presentation import NEVER, asked_percent, count, fine_percent, span, stamp, words
from migration.rules.gates import (
    CONNECTIONS_LIMIT_PERCENT,
    CPU_LIMIT_PERCENT,
    MEMORY_LIMIT_PERCENT,
    SLOW_MILLISECONDS,
)

_LABELS = {
    "owner": "Errors as owner",
    "shadow": "Errors as shadow",
    "owner_slow": f"Slower than {SLOW_MILLISECONDS} ms as owner",
    "shadow_slow": f"Slower than {SLOW_MILLISECONDS} ms as shadow",
    "silent_after_moving": "Silent after moving",
    "moved": "Robots that moved",
    "heard": "Of them heard by new",
    "cpu_percent": f"CPU, limit {asked_percent(CPU_LIMIT_PERCENT)}",
    "memory_percent": f"Memory, limit {asked_percent(MEMORY_LIMIT_PERCENT)}",
    "connections_percent": f"Database connections, limit {asked_percent(CONNECTIONS_LIMIT_PERCENT)}",
    "rows": "Rows compared",
    "different": "Rows that differ",
    "compared_at": "Compared at, UTC",
    "to_new_primaries": "Served by legacy, to be heard by new",
    "to_new_copies": "Heard by new",
    "to_legacy_primaries": "Served by new, to be heard by legacy",
    "to_legacy_copies": "Heard by legacy",
    "started_at": "Phase began, UTC",
    "pipeline": "Alert pipeline",
    "votes": "Votes cast",
}


#: a verdict → its status class in the design
LOOKS = {"pass": "ok", "fail": "bad", "inconclusive": "wait", "waived": "off"}


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """`mark` is a status class of the design, "" for a plain figure."""

    label: str
    figure: str
    mark: str = ""


def evidence_lines(evidence: Mapping[str, Any]) -> list[EvidenceLine]:
    """Every piece of evidence, what was judged of it first; nothing is left out."""
    parts = evidence.get("parts", {})
    judged = [_part(name, part) for name, part in parts.items()]
    # A sequential test that failed stays so, whatever more evidence says: told apart where its part says otherwise.
    finals = [
        EvidenceLine(f"{words(name)}, final", sentence, "bad")
        for name, sentence in evidence.get("failed", {}).items()
        if parts.get(name, {}).get("verdict") != "fail"
    ]
    others = [item for item in evidence.items() if item[0] not in ("parts", "failed")]
    return [*judged, *finals, *(line for name, value in others for line in _lines(name, value))]


def _lines(name: str, value: Any) -> Iterator[EvidenceLine]:
    if name == "checks":
        yield from (EvidenceLine(label, found, "ok" if passed else "bad") for label, passed, found in value)
    elif name == "guards":
        yield from (_guard(guard) for guard in value)
    else:
        yield EvidenceLine(_LABELS.get(name, words(name)), _figure(name, value))


def _part(name: str, judged: Mapping[str, Any]) -> EvidenceLine:
    """A part of a gate by its own sentence."""
    return EvidenceLine(words(name), judged["sentence"], LOOKS.get(judged["verdict"], "none"))


def _guard(guard: Mapping[str, Any]) -> EvidenceLine:
    age, limit = guard["age_seconds"], guard["limit_seconds"]
    alive = age is not None and age <= limit
    figure = f"{'never' if age is None else f'{age:.1f} s'} of {span(limit)}"
    return EvidenceLine(words(guard["name"]), figure, "ok" if alive else "bad")


def _figure(name: str, value: Any) -> str:
    if value is None:
        return NEVER
    if isinstance(value, Mapping) and "requests" in value:
        return f"{count(value.get('bad'))} of {count(value['requests'])} requests"
    if isinstance(value, Mapping):
        return ", ".join(f"{words(key)} {_figure(key, inner)}" for key, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(one) for one in value) or "none"
    if isinstance(value, bool | str):
        return stamp(value) if name.endswith("_at") and isinstance(value, str) else str(value)
    return fine_percent(value) if name.endswith("_percent") else count(value)
