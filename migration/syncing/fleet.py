"""Legacy's list by address: which robot each one is, its kind, and what legacy believes of its operation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from heartbeat.models import Robot
from heartbeat.rules.identity import key_of
from heartbeat.taking_over import set_kinds
from migration import audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import Refused
from migration.models import MatchEntry
from migration.rules.matching import How, Known, kind_word, known, match
from migration.syncing.quarantine import Bad, hold
from teleop import claims

_FIELDS = ("robot_key", "robot_id", "how", "reason", "hostname", "kind", "teleop_host", "teleop_operation", "stages")


def take_in(listed: Sequence[Any], now: datetime) -> int:
    """Match every address with a robot, as explicitly as can be. Returns how many addresses have one.

    What is ambiguous or unknown is quarantined; a match by hand stays as it was made.
    """
    robots = _known()
    bad: dict[str, Bad] = {}
    entries: dict[str, MatchEntry] = {}
    for number, row in enumerate(listed):
        address = str(row.get("ip") or "") if isinstance(row, Mapping) else ""
        if not address:
            bad[f"row {number}"] = Bad("no ip: nothing tells whose row it is", row)
        elif address in entries:
            bad[f"{address} again"] = Bad(f"{address} is listed more than once", row)
        else:
            entries[address] = _entry(address, row, robots, now)
            if not entries[address].robot_id:
                found = match(address, _word(row, "hostname"), _word(row, "mac_address"), robots)
                bad[address] = Bad(found.reason, row, list(found.candidates))
    _only_one_address_a_robot(entries, bad)
    _keep(entries)
    hold("fleet", bad, now)
    claims.take_in(_claims(entries.values()), now)
    set_kinds({entry.robot_id: entry.kind for entry in entries.values() if entry.robot_id and entry.kind})
    return sum(1 for entry in entries.values() if entry.robot_id)


@transaction.atomic
def match_by_hand(address: str, robot_id: str, *, actor: Actor, reason: str) -> MatchEntry:
    """Say which robot an address is; sync does not change it any more. Raises `Refused` for an unknown robot."""
    robot = Robot.objects.filter(key=key_of(robot_id)).first()
    if robot is None:
        raise Refused(f"no robot is known as {robot_id!r}")
    if not reason.strip():
        raise Refused("a match by hand needs a reason: say why, in a few words")
    now = system_clock().now()
    entry, _ = MatchEntry.objects.update_or_create(
        address=address,
        defaults={
            "robot_key": bytes(robot.key),
            "robot_id": robot.robot_id,
            "how": How.BY_HAND.value,
            "reason": reason,
            "matched_by": actor.name,
        },
    )
    sentence = f"matched the address {address} with {robot.robot_id}: {reason}"
    audit.record(actor, "sync.matched", sentence, at=now, detail={"address": address, "robot": robot.robot_id})
    return entry


def _claims(entries: Iterable[MatchEntry]) -> Iterator[claims.Claim]:
    for entry in entries:
        if entry.robot_id and entry.teleop_operation is not None:
            yield claims.Claim(entry.robot_id, entry.teleop_operation, "teleop_operation")


def _known() -> Known:
    by_hand = dict(MatchEntry.objects.filter(how=How.BY_HAND.value).values_list("address", "robot_id"))
    return known(list(Robot.objects.values_list("robot_id", "address")), by_hand)


def _entry(address: str, row: Mapping[str, Any], robots: Known, now: datetime) -> MatchEntry:
    hostname = _word(row, "hostname")
    found = match(address, hostname, _word(row, "mac_address"), robots)
    stages = row.get("stages")
    return MatchEntry(
        address=address[:64],
        robot_key=key_of(found.robot_id) if found.robot_id else None,
        robot_id=found.robot_id or "",
        how=found.how.value if found.how else "",
        reason=found.reason,
        hostname=hostname,
        kind=kind_word(_word(row, "type"), hostname, address),
        teleop_host=_truth(row, "teleop_host"),
        teleop_operation=_truth(row, "teleop_operation"),
        stages=stages if isinstance(stages, dict) else {},
        discovered_at=now,
    )


def _only_one_address_a_robot(entries: dict[str, MatchEntry], bad: dict[str, Bad]) -> None:
    """An address that another robot got is not told from the one it left: neither is believed, but for one by hand."""
    by_robot: dict[str, list[MatchEntry]] = {}
    for entry in entries.values():
        if entry.robot_id and entry.how != How.BY_HAND.value:
            by_robot.setdefault(entry.robot_id, []).append(entry)
    for robot_id, several in by_robot.items():
        if len(several) > 1:
            places = ", ".join(sorted(entry.address for entry in several))
            for entry in several:
                reason = f"ambiguous: {robot_id} would be at {places}"
                bad[entry.address] = Bad(reason, {"hostname": entry.hostname}, [robot_id])
                entry.robot_id, entry.robot_key, entry.how, entry.reason = "", None, "", reason


def _keep(entries: Mapping[str, MatchEntry]) -> None:
    stored = {entry.address: entry for entry in MatchEntry.objects.filter(address__in=list(entries))}
    changed = []
    for address, entry in entries.items():
        before = stored.get(address)
        if before is None or any(
            getattr(before, name) != getattr(entry, name) for name in _FIELDS if name != "robot_key"
        ):
            if before is not None and before.how == How.BY_HAND.value:
                entry.reason, entry.matched_by = before.reason, before.matched_by
            changed.append(entry)
    update = [*_FIELDS, "matched_by", "discovered_at"]
    MatchEntry.objects.bulk_create(changed, update_conflicts=True, unique_fields=["address"], update_fields=update)


def _word(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value.replace("\x00", "\u2400") if isinstance(value, str) else ""


def _truth(row: Mapping[str, Any], name: str) -> bool | None:
    value = row.get(name)
    return value if isinstance(value, bool) else None
