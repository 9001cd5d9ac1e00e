"""Running checks: now, in a worker, or by themselves while the fleet is in Preparation."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import Error as DatabaseError
from django.db import connection
from kombu.exceptions import OperationalError

from migration import audit
from migration.actors import Actor
from migration.checklist.registry import Check, Finding, checks
from migration.clock import system_clock
from migration.errors import Refused
from migration.models import CheckResult, PhaseRun
from migration.rules.phases import PHASES
from migration.rules.sequential import Verdict

log = structlog.get_logger(__name__)

SCHEDULE = Actor("schedule")
#: results of a check that are kept, the newest
KEPT = 200
#: what failed is looked at again by itself after this, or sooner where it runs more often
TRY_AGAIN = timedelta(minutes=5)
#: any constant: one scheduled round at a time, however long its checks take
_LOCK = 0x6C656263


class UnknownCheck(Refused):
    """There is no check of this name."""


def run(names: Sequence[str] = (), *, actor: Actor) -> list[CheckResult]:
    """Run these checks, all without a name, and keep what they found. Raises `UnknownCheck`, nothing is run then."""
    chosen = _named(names)
    results = [_run(check, actor) for check in chosen]
    if actor != SCHEDULE:
        passed = sum(1 for result in results if result.verdict in (Verdict.PASS, Verdict.WAIVED))
        told = {result.name: result.verdict for result in results}
        sentence = f"ran {len(results)} checks before the migration: {passed} hold"
        audit.record(actor, "checks_run", sentence, at=system_clock().now(), detail=told)
    return results


def ask(names: Sequence[str] = (), *, actor: Actor) -> bool:
    """Have a worker run these checks. Where no worker can be told, run them here; returns whether that happened."""
    from migration.tasks import run_checks  # the task imports the use cases, which import this

    chosen = [check.name for check in _named(names)]
    try:
        run_checks.delay(chosen, actor.name)
    except OperationalError as error:
        log.warning("checks.run_here", error=str(error))
        run(chosen, actor=actor)
        return True
    return False


def run_due() -> list[CheckResult]:
    """Run what is due while the fleet is in Preparation; afterwards the checklist is history and runs when asked."""
    if not PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE, slug=PHASES[0].slug).exists():
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return []
    try:
        now = system_clock().now()
        latest = latest_results()
        return [_run(check, SCHEDULE) for check in checks().values() if is_due(check, latest.get(check.name), now)]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def is_due(check: Check, latest: CheckResult | None, now: datetime) -> bool:
    """Whether a check should run by itself now."""
    if latest is None:
        return True
    wait = check.every if latest.verdict in (Verdict.PASS, Verdict.WAIVED) else min(check.every, TRY_AGAIN)
    return now - latest.at >= wait


def latest_results() -> dict[str, CheckResult]:
    """The newest result of each check."""
    newest = CheckResult.objects.order_by("name", "-id").distinct("name")
    return {result.name: result for result in newest}


def _named(names: Sequence[str]) -> list[Check]:
    known = checks()
    if unknown := [name for name in names if name not in known]:
        raise UnknownCheck(f"there is no check {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names] if names else list(known.values())


def _run(check: Check, actor: Actor) -> CheckResult:
    began = time.monotonic()
    try:
        finding = check.look()
    except (OSError, DatabaseError, ValueError, KeyError) as error:
        # A check that cannot run has failed, and says why; the others go on.
        log.warning("check.broke", check=check.name, error=repr(error))
        finding = Finding(Verdict.FAIL, f"could not be run: {error!r}")
    result = CheckResult.objects.create(
        name=check.name,
        verdict=finding.verdict,
        sentence=finding.sentence,
        evidence=finding.evidence,
        at=system_clock().now(),
        seconds=time.monotonic() - began,
        asked_by=actor.name,
    )
    old = CheckResult.objects.filter(name=check.name).values_list("pk", flat=True)[KEPT:]
    CheckResult.objects.filter(pk__in=list(old)).delete()
    log.info("check.ran", check=check.name, verdict=finding.verdict, seconds=round(result.seconds, 3))
    return result
