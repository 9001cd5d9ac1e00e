"""What the automation may do: each rule observes, holds or rolls back, and a kill switch stops all of it.

The database keeps who set what; the watchdog reads the file beside the route file, which is there without a database.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from migration import audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.cohort_split import split_by_cohort
from migration.drivers import watch_file
from migration.drivers.errors import RouteError
from migration.drivers.file_lease import FileLease
from migration.errors import MissingReason, Refused
from migration.models import AutomationSwitch, WatchFinding, WatchRule
from migration.rules.watching import RULE_NAMES, RULES, Finding, Guarding, Mode

log = structlog.get_logger(__name__)

FINDINGS_SHOWN = 20
#: a rule that applies again within this is the same finding
SAME_FINDING = timedelta(seconds=30)


def lease() -> FileLease:
    """The lease of the watchdogs of this installation."""
    return FileLease(Path(settings.ENVOY_STATE_DIR) / "watchdog.lease")


def in_force() -> Guarding:
    """What the watchdog goes by: the file. Needs no database."""
    return watch_file.read(Path(settings.ENVOY_STATE_DIR))


def set_rule(name: str, mode: str, *, actor: Actor, reason: str) -> WatchRule:
    """Set how far a rule may go. Raises `MissingReason`, and `Refused` for an unknown rule or mode, or a full disk."""
    if not reason.strip():
        raise MissingReason("setting a rule")
    if name not in RULE_NAMES:
        raise Refused(f"there is no rule {name!r}; there are {', '.join(RULE_NAMES)}")
    if mode not in set(Mode):
        raise Refused(f"mode {mode!r} is none of {', '.join(Mode)}")
    now = system_clock().now()
    with transaction.atomic():
        before = as_set().mode_of(name) if as_set().is_on else _modes().get(name, Mode.ROLL_BACK)
        rule, _ = WatchRule.objects.update_or_create(
            name=name, defaults={"mode": mode, "changed_by": actor.name, "changed_at": now, "reason": reason}
        )
        sentence = f"set the rule {name} from {before} to {mode}: {reason}"
        detail = {"rule": name, "before": str(before), "after": mode, "reason": reason}
        audit.record(actor, "watch_rule_set", sentence, at=now, detail=detail)
        _bring_into_force()
    log.warning("watchdog.rule_set", rule=name, mode=mode, actor=actor.name)
    return rule


def switch(is_on: bool, *, actor: Actor, reason: str) -> AutomationSwitch:
    """Switch automatic rollbacks off or on. While they are off every rule observes, and steps forward are locked.

    Raises `MissingReason`, and `Refused` if it is so already, or the disk refuses.
    """
    word = "on" if is_on else "off"
    if not reason.strip():
        raise MissingReason(f"switching the automation {word}")
    now = system_clock().now()
    with transaction.atomic():
        if as_set().is_on == is_on:
            raise Refused(f"the automation is {word} already")
        switched = AutomationSwitch.objects.create(is_on=is_on, by=actor.name, at=now, reason=reason)
        audit.record(actor, "automation_switched", f"switched automatic rollbacks {word}: {reason}", at=now)
        _bring_into_force()
    log.critical("watchdog.automation_switched", on=is_on, actor=actor.name, reason=reason)
    return switched


def as_set() -> Guarding:
    """What operators set, from the database."""
    latest = AutomationSwitch.objects.first()
    is_on = latest is None or latest.is_on
    because = f"{latest.by}: {latest.reason}" if latest and not is_on else ""
    return Guarding(is_on=is_on, because=because, modes=_modes())


def tend() -> bool:
    """Make the file say what operators set, if it was lost or is older. True if it had to be written."""
    if in_force() == as_set():
        return False
    _bring_into_force()
    return True


def state() -> dict[str, Any]:
    """The watchdog as screens and scripts see it."""
    guarding, rows = in_force(), {row.name: row for row in WatchRule.objects.all()}
    held, latest = lease(), AutomationSwitch.objects.first()
    found = held.read()
    standby = held.standby_age_seconds()
    return {
        "automation": {
            "on": guarding.is_on,
            "because": guarding.because,
            "switched_by": latest.by if latest else None,
            "switched_at": latest.at.isoformat() if latest else None,
        },
        "rules": [
            {
                "name": rule.name,
                "when": rule.when,
                "then": rule.then,
                "mode": str(guarding.modes.get(rule.name, Mode.ROLL_BACK)),
                "in_force": str(guarding.mode_of(rule.name)),
                "changed_by": rows[rule.name].changed_by if rule.name in rows else None,
                "changed_at": rows[rule.name].changed_at.isoformat() if rule.name in rows else None,
                "reason": rows[rule.name].reason if rule.name in rows else "",
            }
            for rule in RULES
        ],
        "holder": {"name": found.holder, "term": found.term} if found else None,
        "standby_ready": standby is not None and standby < STANDBY_READY_SECONDS,
        "cohorts": split_by_cohort(system_clock().now()),
        "findings": [_finding(finding) for finding in WatchFinding.objects.all()[:FINDINGS_SHOWN]],
    }


STANDBY_READY_SECONDS = 5.0


def keep_finding(finding: Finding, mode: Mode, now: datetime) -> None:
    """Keep what a rule found and how far it was allowed to go: one row for each stretch of time in which it applied."""
    given = {"rule": finding.rule, "action": str(finding.action), "mode": str(mode)}
    latest = WatchFinding.objects.filter(**given, last_seen_at__gte=now - SAME_FINDING).first()
    if latest is None:
        WatchFinding.objects.create(**given, sentence=finding.sentence, opened_at=now, last_seen_at=now)
    else:
        latest.sentence, latest.last_seen_at, latest.looks = finding.sentence, now, latest.looks + 1
        latest.save()


def why_locked() -> list[str]:
    """Why steps forward are locked by how the automation is set; empty where they are not."""
    guarding = in_force()
    return [] if guarding.is_on else [f"automatic rollbacks are switched off by {guarding.because}"]


def _modes() -> dict[str, Mode]:
    return {name: Mode(mode) for name, mode in WatchRule.objects.values_list("name", "mode") if name in RULE_NAMES}


def _bring_into_force() -> None:
    try:
        watch_file.write(Path(settings.ENVOY_STATE_DIR), as_set())
    except RouteError as error:
        raise Refused(f"nothing is changed, the watchdog could not be told: {error}") from error


def _finding(finding: WatchFinding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "action": finding.action,
        "mode": finding.mode,
        "sentence": finding.sentence,
        "opened_at": finding.opened_at.isoformat(),
        "last_seen_at": finding.last_seen_at.isoformat(),
        "looks": finding.looks,
    }
