"""What there is to check. A check is a function that looks now and says what it found; it must be able to fail."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings

from migration.rules.sequential import Verdict
from migration.rules.voting import Role

#: how long a result counts unless the check says otherwise; real time at any scale
FRESH = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found, in a sentence, with the figures behind it."""

    verdict: Verdict
    sentence: str
    evidence: dict[str, Any] = field(default_factory=dict)


def holds(is_so: bool, sentence: str, **evidence: Any) -> Finding:
    """Pass or fail, with what was found either way."""
    return Finding(Verdict.PASS if is_so else Verdict.FAIL, sentence, evidence)


def unknown(sentence: str, **evidence: Any) -> Finding:
    """What cannot be said now, and why."""
    return Finding(Verdict.INCONCLUSIVE, sentence, evidence)


def not_needed(sentence: str, **evidence: Any) -> Finding:
    """What this installation does without, by a setting."""
    return Finding(Verdict.WAIVED, sentence, evidence)


@dataclass(frozen=True, slots=True)
class Check:
    """One point that a machine can check; `look` may take seconds and may raise nothing but what it documents."""

    name: str
    title: str
    role: Role
    #: what to do when it does not pass
    fix: str
    look: Callable[[], Finding]
    #: how long a result counts
    fresh_for: timedelta = FRESH
    #: how often it runs by itself in Preparation
    every: timedelta = timedelta(seconds=30)
    #: may `PRECHECKS_WAIVED` let the migration begin without it?
    waivable: bool = False


_MODULES = ("services", "machine", "the_door", "systems", "monitored", "proofs", "people")
_checks: dict[str, Check] = {}


def check(name: str, title: str, role: Role, fix: str, **options: Any) -> Callable[..., Callable[[], Finding]]:
    """Enter a function as a check; `options` are those of `Check`."""

    def enter(look: Callable[[], Finding]) -> Callable[[], Finding]:
        _checks[name] = Check(name, title, role, fix, look, **options)
        return look

    return enter


def checks() -> dict[str, Check]:
    """Every check by its name, in the order in which they are shown."""
    for module in _MODULES:
        import_module(f"migration.checklist.{module}")  # importing one enters its checks
    return _checks


def waivers() -> dict[str, str]:
    """Which checks a setting waives, and why: `PRECHECKS_WAIVED`, `name=why; name=why`."""
    told = {}
    for part in settings.PRECHECKS_WAIVED.split(";"):
        name, _, why = part.partition("=")
        if name.strip() and why.strip():
            told[name.strip()] = why.strip()
    return {name: why for name, why in told.items() if name in checks() and checks()[name].waivable}


def refused_waivers() -> list[str]:
    """What `PRECHECKS_WAIVED` says in vain, a sentence each."""
    told = []
    for part in filter(str.strip, settings.PRECHECKS_WAIVED.split(";")):
        name, _, why = (word.strip() for word in part.partition("="))
        if name not in checks():
            told.append(f"PRECHECKS_WAIVED names {name!r}, which is no check")
        elif not why:
            told.append(f"PRECHECKS_WAIVED waives {name} without saying why")
        elif not checks()[name].waivable:
            told.append(f"PRECHECKS_WAIVED waives {name}, which nobody may do without")
    return told
