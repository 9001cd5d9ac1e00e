"""The settings of a phase: DESIGN.md's numbers are the defaults, and each may be set otherwise for one phase."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from migration.rules.phases import Phase, phase_of
from migration.rules.voting import Role

MOMENTS = ("before", "during", "after")
#: a step is confirmed in 2 s and must not be taken for abandoned while an external check thinks (`migration.agent`)
LONGEST_HOOK_SECONDS = 5.0
_WEEK = 7 * 86_400.0


class InvalidSetting(ValueError):
    """A setting that nobody may store: names the field and the reason."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.field = name
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Hook:
    """An external check: asked by HTTP before, during or after a step, and may veto it."""

    name: str
    url: str
    when: tuple[str, ...] = ("before",)
    timeout_seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class PhaseSettings:
    """What one phase asks. Shares are percent; `MIGRATION_TIME_SCALE` shortens the times, but where that is denied."""

    duration_seconds: float
    #: somebody must be present to enter this phase and to leave it
    needs_watch: bool
    #: entering this phase takes two people
    needs_two_people: bool
    error_limit_percent: float = 0.1
    slow_limit_percent: float = 1.0
    #: how much slower than legacy's p99 the slowest percent of `new` may be
    slower_than_legacy_ms: float = 10.0
    mirror_limit_percent: float = 99.9
    cpu_limit_percent: float = 80.0
    memory_limit_percent: float = 85.0
    connections_limit_percent: float = 90.0
    lag_forward_limit_seconds: float = 2.0
    lag_reverse_limit_seconds: float = 5.0
    stability_seconds: float = 1_800.0
    warm_legacy_seconds: float = 2 * _WEEK
    quorum: int = 4
    must_include: str = Role.MIGRATION_LEAD.value
    vetoes: tuple[str, ...] = (Role.MIGRATION_LEAD.value,)
    #: never scaled
    vote_lives_seconds: float = 86_400.0
    #: whole percents on the way into this phase, without its own
    ramp: tuple[int, ...] = ()
    #: who goes first on the way into this phase, such as "kind=xle" or "site=A"
    cohorts: tuple[str, ...] = ()
    bake_seconds: float = 600.0
    hooks: tuple[Hook, ...] = ()


def settings_of(slug: str, changed: Mapping[str, Any] | None = None) -> PhaseSettings:
    """Return the settings of a phase: the defaults, and what was `changed`. Raises `InvalidSetting`."""
    phase = phase_of(slug)
    given = checked(phase, changed or {})
    if "hooks" in given:
        given["hooks"] = tuple(Hook(**{**hook, "when": tuple(hook["when"])}) for hook in given["hooks"])
    for name in ("vetoes", "ramp", "cohorts"):
        if name in given:
            given[name] = tuple(given[name])
    defaults = {
        "duration_seconds": phase.duration.total_seconds(),
        "needs_watch": phase.risk == "high",
        "needs_two_people": phase.percent == 100,
    }
    return PhaseSettings(**{**defaults, **given})


def digest_of(*changed: Mapping[str, Any]) -> str:
    """Name what was changed in these phases' settings; "" where nothing was."""
    if not any(changed):
        return ""
    return hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:12]


def checked(phase: Phase, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was changed as JSON keeps it. Raises `InvalidSetting` for the first that makes no sense."""
    known = {field.name for field in fields(PhaseSettings)}
    for name in changed:
        if name not in known:
            raise InvalidSetting(name, f"nobody knows this setting; there are {', '.join(sorted(known))}")
    return {name: _check_of(name)(name, value, phase) for name, value in changed.items()}


def _check_of(name: str) -> Callable[[str, Any, Phase], Any]:
    return _CHECKS.get(name, _positive)


def _positive(name: str, value: Any, phase: Phase) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise InvalidSetting(name, f"{value!r} is no number above 0")
    if name.endswith("_percent") and value > 100:
        raise InvalidSetting(name, f"{value!r} is more than 100 %")
    return float(value)


def _not_negative(name: str, value: Any, phase: Phase) -> float:
    return 0.0 if value == 0 and not isinstance(value, bool) else _positive(name, value, phase)


def _flag(name: str, value: Any, phase: Phase) -> bool:
    if not isinstance(value, bool):
        raise InvalidSetting(name, f"{value!r} is neither true nor false")
    return value


def _quorum(name: str, value: Any, phase: Phase) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= len(Role):
        raise InvalidSetting(name, f"{value!r} is no whole number from 1 to {len(Role)}")
    return value


def _role(name: str, value: Any, phase: Phase) -> str:
    if value not in {role.value for role in Role}:
        raise InvalidSetting(name, f"{value!r} is none of {', '.join(role.value for role in Role)}")
    return str(value)


def _listed(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple) or len(value) > 20:
        raise InvalidSetting(name, "is no list of at most 20")
    return list(value)


def _roles(name: str, value: Any, phase: Phase) -> list[str]:
    return [_role(name, one, phase) for one in _listed(name, value)]


def _ramp(name: str, value: Any, phase: Phase) -> list[int]:
    steps = _listed(name, value)
    for step in steps:
        if isinstance(step, bool) or not isinstance(step, int) or not 0 < step < phase.percent:
            raise InvalidSetting(name, f"{step!r} is no whole percent between 0 and the phase's {phase.percent}")
    if steps != sorted(set(steps)):
        raise InvalidSetting(name, "does not rise from step to step")
    return steps


def _cohorts(name: str, value: Any, phase: Phase) -> list[str]:
    cohorts = _listed(name, value)
    if cohorts and phase.percent == 0:
        raise InvalidSetting(name, f"{phase.name} moves nobody")
    for cohort in cohorts:
        what, _, which = cohort.partition("=") if isinstance(cohort, str) else ("", "", "")
        if what not in ("kind", "site") or not which or len(which) > 200:
            raise InvalidSetting(name, f'{cohort!r} is neither "kind=…" nor "site=…"')
    return cohorts


def _hooks(name: str, value: Any, phase: Phase) -> list[dict[str, Any]]:
    return [_hook(name, hook) for hook in _listed(name, value)]


def _hook(name: str, hook: Any) -> dict[str, Any]:
    if not isinstance(hook, Mapping) or not {"name", "url"} <= set(hook) <= {"name", "url", "when", "timeout_seconds"}:
        raise InvalidSetting(name, "each has a name and a url, and may have when and timeout_seconds")
    given = {"when": ["before"], "timeout_seconds": 3.0, **hook}
    label, url, seconds = given["name"], given["url"], given["timeout_seconds"]
    if not isinstance(label, str) or not 0 < len(label) <= 64:
        raise InvalidSetting(name, "a name has 1 to 64 characters")
    if not isinstance(url, str) or not _is_http(url):
        raise InvalidSetting(name, f"{url!r} is no http or https address")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_HOOK_SECONDS:
        raise InvalidSetting(name, f"timeout_seconds: {seconds!r} is not within {LONGEST_HOOK_SECONDS:g} s")
    when = _listed(name, given["when"])
    if not when or any(moment not in MOMENTS for moment in when):
        raise InvalidSetting(name, f"when: each is one of {', '.join(MOMENTS)}")
    return {**given, "when": when}


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


_CHECKS: Mapping[str, Callable[[str, Any, Phase], Any]] = {
    "needs_watch": _flag,
    "needs_two_people": _flag,
    "quorum": _quorum,
    "must_include": _role,
    "vetoes": _roles,
    "ramp": _ramp,
    "cohorts": _cohorts,
    "hooks": _hooks,
    "bake_seconds": _not_negative,
    "stability_seconds": _not_negative,
    "slower_than_legacy_ms": _not_negative,
}
