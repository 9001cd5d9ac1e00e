"""Which robot an address of `GET /api/fleet` is: legacy keys that list by IP, so each match is explicit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from heartbeat.rules.kind import kind_from_word

#: LEGACY.md, "Two kinds of robot"
SUBNETS: Mapping[str, str] = {"192.168.50.": "xle", "192.168.1.": "lekiwi", "192.168.88.": "lekiwi"}
_SUFFIX = re.compile(r"_([0-9a-f]{4,8})$", re.IGNORECASE)


class How(StrEnum):
    """What a match rests on, the strongest first."""

    BY_HAND = "by hand"
    MAC = "MAC address"
    HOSTNAME = "hostname"
    ADDRESS = "address it calls from"


@dataclass(frozen=True, slots=True)
class Match:
    """The robot of an address and why, or why there is none."""

    robot_id: str | None
    how: How | None
    reason: str
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """Robots by what they can be recognised by; ids as spelled."""

    ids: Mapping[str, str]
    by_suffix: Mapping[str, Sequence[str]]
    by_address: Mapping[str, Sequence[str]]
    by_hand: Mapping[str, str]


def known(robots: Sequence[tuple[str, str]], by_hand: Mapping[str, str]) -> Known:
    """Index robots given as (id, address it calls from); `by_hand`: address → id."""
    ids: dict[str, str] = {}
    by_suffix: dict[str, list[str]] = {}
    by_address: dict[str, list[str]] = {}
    for robot_id, address in robots:
        ids[robot_id.lower()] = robot_id
        if found := _SUFFIX.search(robot_id):
            by_suffix.setdefault(found[1].lower()[-4:], []).append(robot_id)
        if address:
            by_address.setdefault(address, []).append(robot_id)
    return Known(ids, by_suffix, by_address, dict(by_hand))


def match(address: str, hostname: str, mac: str, robots: Known) -> Match:
    """The robot at `address`. Two that fit are ambiguous, and nobody is guessed."""
    if by_hand := robots.by_hand.get(address):
        return Match(by_hand, How.BY_HAND, "matched by hand")
    digits = re.sub(r"[^0-9a-f]", "", mac.lower())[-8:]
    ends = [(How.MAC, digits[-4:], digits)] if len(digits) == 8 else []
    if found := _SUFFIX.search(hostname):
        ends.append((How.HOSTNAME, found[1].lower()[-4:], found[1].lower()))
    if hostname.lower() in robots.ids:
        return Match(robots.ids[hostname.lower()], How.HOSTNAME, f"hostname {hostname} is its id")
    for how, suffix, whole in ends:
        fitting = tuple(one for one in robots.by_suffix.get(suffix, ()) if _fits(one, whole, hostname))
        if len(fitting) == 1:
            return Match(fitting[0], how, f"the only id that ends in {whole}")
        if fitting:
            return Match(None, None, f"ambiguous: {len(fitting)} ids end in {whole}", fitting)
    callers = tuple(robots.by_address.get(address, ()))
    if len(callers) == 1:
        return Match(callers[0], How.ADDRESS, f"the only robot that calls from {address}")
    if callers:
        return Match(None, None, f"ambiguous: {len(callers)} robots call from {address}", callers[:20])
    return Match(None, None, f"no robot is known by hostname {hostname or '(none)'} or address {address}")


def kind_word(kind: str, hostname: str, address: str) -> str:
    """lekiwi, xle or "": by legacy's word, then the hostname, then the subnet."""
    by_subnet = next((word for subnet, word in SUBNETS.items() if address.startswith(subnet)), "")
    return kind_from_word(kind) or kind_from_word(hostname) or by_subnet


def _fits(robot_id: str, suffix: str, hostname: str) -> bool:
    kind = kind_from_word(hostname)
    return robot_id.lower().endswith(suffix) and (not kind or kind_from_word(robot_id) in ("", kind))
