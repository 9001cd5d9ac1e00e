"""Restoring the fleet's tables: asked for, taken by a worker or a command, repeatable at any point.

Everything up to the reload changes nothing but a schema beside, and the reload is one transaction; so a restore whose
worker died is begun anew from its first step.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import Error as DatabaseError
from django.db import IntegrityError, connection, transaction
from kombu.exceptions import OperationalError

from heartbeat.rebuilding import rebuild_state
from migration import audit, comparing, deployments, routing
from migration.actors import Actor
from migration.clock import system_clock
from migration.drivers.errors import RouteError
from migration.errors import MissingReason, Refused, WrongState
from migration.models import Restore, Rollback, SyncRun
from migration.restoring import archive, checking, loading
from migration.restoring.tables import STATE
from migration.syncing import orders

log = structlog.get_logger(__name__)

#: first half of the advisory locks of restores, any constant
_LOCK = 0x72657374
#: a restore that no worker took, or whose worker died, is offered again after this
OFFER_AGAIN_AFTER = timedelta(seconds=10)
#: how far back the log is compared with its rollups
LOG_REACH = timedelta(days=2)
#: how long another comparison is waited for
COMPARING_SECONDS = 30.0
#: what a restore never touches, by their row counts and the audit log's own proof
CONTROL = ("migration_phaserun", "migration_vote", "migration_trafficshift", "migration_rollback")


def ask(*, actor: Actor, reason: str, until: datetime | None = None, source: str | None = None) -> Restore:
    """Ask for a restore: from the raw heartbeats, or with `until` from the archive as of that moment.

    Raises `MissingReason`, and `Refused` while robots are on `new`, while another restore is on its way, or where
    the archive does not reach back to the moment.
    """
    if not reason.strip():
        raise MissingReason("a restore")
    source = source or (Restore.Source.ARCHIVE if until else Restore.Source.LOG)
    now = system_clock().now()
    if source == Restore.Source.ARCHIVE:
        if until is None:
            raise Refused("a restore from the archive needs the moment right before the damage", ["until"])
        if until >= now:
            raise Refused("the moment right before the damage lies in the future", ["until"])
        archive.base_for(until)
    _require_legacy()
    try:
        with transaction.atomic():
            restore = Restore.objects.create(
                source=source, until=until, asked_by=actor.name, reason=reason, requested_at=now
            )
            sentence = f"asked for a restore from {restore.get_source_display()}: {reason}"
            audit.record(actor, "restore_requested", sentence, at=now, detail={"restore": restore.pk, "until": until})
    except IntegrityError as error:
        raise Refused("another restore is on its way") from error
    return restore


def enqueue(restore: Restore) -> bool:
    """Hand it to a worker. False without a broker: it stays requested, and a command can run it."""
    from migration.tasks import restore_fleet  # the task imports this

    try:
        restore_fleet.delay(restore.pk)
    except OperationalError as error:
        log.warning("restore.waits_for_broker", restore=restore.pk, error=str(error))
        return False
    return True


def run(restore_id: int) -> Restore:
    """Restore, re-sync, validate. A restore that is over already is returned as it is."""
    with _alone(restore_id) as is_alone:
        restore = Restore.objects.get(pk=restore_id)
        if not is_alone:
            return restore  # another worker is at it
        try:
            restore.begin(system_clock().now())
        except WrongState:
            return restore
        return _run(restore)


def tend() -> None:
    """What the route agent does: ask for the restore that a rollback calls for, and offer again what no worker has."""
    rollback = Rollback.objects.exclude(state=Rollback.State.FAILED).first()
    is_called_for = rollback is not None and rollback.rule == "data_corruption"
    if rollback and is_called_for and not Restore.objects.filter(requested_at__gte=rollback.decided_at).exists():
        enqueue(ask(actor=Actor(rollback.actor), reason=rollback.reason))
        return
    now = system_clock().now()
    for restore in Restore.objects.filter(state__in=[Restore.State.REQUESTED, Restore.State.RESTORING]):
        begun = restore.started_at or restore.requested_at
        if now - begun > OFFER_AGAIN_AFTER:
            with _alone(restore.pk) as is_alone:
                if is_alone:
                    enqueue(restore)


@contextmanager
def _alone(restore_id: int) -> Iterator[bool]:
    """Whether nobody else works on this restore; the database itself lets go of one whose worker died."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK, restore_id])
        is_alone = bool(cursor.fetchone()[0])
        try:
            yield is_alone
        finally:
            if is_alone:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK, restore_id])


def _run(restore: Restore) -> Restore:
    restore.set_aside = f"aside_{restore.pk}"
    restore.save()
    try:
        _require_legacy()
        failure = _restore(restore)
    except (Refused, RouteError, DatabaseError, OSError) as error:
        failure = str(error) or repr(error)
    return _end(restore, failure)


def _restore(restore: Restore) -> str:
    """The steps, each measured and kept. Returns why it is not valid, or an empty string."""
    control = _step(restore, "control history counted", _control)
    if restore.source == Restore.Source.ARCHIVE:
        assert restore.until is not None  # a constraint of the table
        segment = _step(restore, "WAL shipped", archive.ship_wal)
        log.info("restore.shipped", restore=restore.pk, segment=segment)
        until, base = restore.until, archive.base_for(restore.until)
        _step(restore, f"base {base.directory} replayed and loaded", lambda: _load(restore, base, until))
    else:
        _step(restore, "tables set aside", lambda: loading.set_aside(restore.set_aside, STATE))
    _step(restore, "state rebuilt from heartbeats", rebuild_state)
    _step(restore, "deployments copied from legacy", deployments.copy_from_legacy)
    failure = _step(restore, "rows taken over from legacy", lambda: _synced(restore))["failure"]
    complaints = [f"legacy could not be synced: {failure}"] if failure else []
    return "; ".join([*complaints, *_complaints(restore, control)])


def _load(restore: Restore, base: archive.Base, until: datetime) -> Any:
    with archive.replayed(base, until) as scratch:
        return loading.load(scratch, restore.set_aside, until)


def _synced(restore: Restore) -> dict[str, Any]:
    """What `new` never heard itself, or lost, comes from legacy once more."""
    run = orders.full_sync_now(Actor(restore.asked_by))
    failure = run.failure if run.state != SyncRun.State.RUNNING else "another full sync did not come to its end"
    return {"run": run.pk, "rows": run.rows, "taken_over": run.taken_over, "failure": failure}


def _complaints(restore: Restore, control: dict[str, int]) -> list[str]:
    """Ask everything that can be asked. What could not be asked is said, and is no success."""
    now = system_clock().now()
    complaints = []
    if found := _step(restore, "state follows from the heartbeats", checking.check_state):
        complaints.append(found)
    lost = _step(restore, "log holds what was counted", lambda: _lost(now))
    if lost:
        complaints.append(f"{len(lost)} minutes of the log are incomplete, the first {lost[0]}")
    if (after := _control()) != control:
        complaints.append(f"control history changed: {control} before, {after} now")
    if wrong := _step(restore, "audit log verified", audit.verify):
        complaints.append("; ".join(wrong))
    compared = _step(restore, "rows compared with legacy", _compared)
    if compared["failure"]:
        complaints.append(f"legacy could not be compared: {compared['failure']}")
    return complaints


def _lost(now: datetime) -> list[str]:
    return [
        f"{minute:%d %b %H:%M}: {stored} of {counted}"
        for minute, counted, stored in checking.lost_minutes(now - LOG_REACH, now)
    ]


def _compared() -> dict[str, Any]:
    deadline = time.monotonic() + COMPARING_SECONDS
    while (comparison := comparing.compare()) is None:  # the one that is on its way may have read before the restore
        if time.monotonic() > deadline:
            return {"rows": 0, "different": [], "failure": "another process was comparing all the time"}
        time.sleep(0.2)
    different = sorted({row["robot_id"] for row in comparison.different})
    return {"rows": comparison.rows, "different": different[:100], "failure": comparison.failure}


def _control() -> dict[str, int]:
    with connection.cursor() as cursor:
        counted = {}
        for table in CONTROL:
            cursor.execute(f'SELECT count(*) FROM "{table}"')
            counted[table] = int(cursor.fetchone()[0])
        return counted


def _step(restore: Restore, name: str, work: Callable[[], Any]) -> Any:
    began = time.monotonic()
    found = work()
    restore.note(name, time.monotonic() - began, found)
    restore.save()
    log.info("restore.step", restore=restore.pk, step=name, seconds=restore.steps[-1]["seconds"])
    return found


def _end(restore: Restore, failure: str) -> Restore:
    now = system_clock().now()
    with transaction.atomic():
        if failure:
            restore.fail(failure, now)
        else:
            restore.validate(now)
        restore.save()
        sentence = f"restore {restore.pk} from {restore.get_source_display()} " + (
            f"failed: {failure}" if failure else "is validated"
        )
        detail = {"restore": restore.pk, "steps": restore.steps, "set_aside": restore.set_aside}
        audit.record(Actor(restore.asked_by), "restore_ended", sentence, at=now, detail=detail)
    log.warning("restore.ended", restore=restore.pk, state=restore.state, failure=failure)
    return restore


def _require_legacy() -> None:
    """Tables are only taken away from under `new` while it owns nothing and refuses v2."""
    try:
        plan = routing.route_file().read().plan
    except RouteError as error:
        raise Refused(str(error)) from error
    if plan.percent or plan.accept_v2 or plan.failover_to_new:
        sentence = f"{plan.phase} is in force: roll back with data_corruption first, so that legacy answers everything"
        raise Refused(sentence, ["routed"])
