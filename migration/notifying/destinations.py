"""Where messages go, from the settings. Rows name a destination; only here its address is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings

from migration.rules.notifying import ALERTS, BOTH, STATUS

#: a destination of one person's own address, of a step of an escalation
PERSON = "person:"


class Kind(StrEnum):
    """How a destination is spoken to."""

    CHAT = "chat"
    SIGNED = "signed"
    MAIL = "mail"
    APPRISE = "apprise"


@dataclass(frozen=True, slots=True)
class Destination:
    """A place that takes messages of some channels. `address` may be a secret."""

    name: str
    kind: Kind
    address: str
    channels: tuple[str, ...] = ()


def destinations() -> Mapping[str, Destination]:
    """Every destination that is configured, by its name."""
    found = []
    for channel, address in ((STATUS, settings.NOTIFY_STATUS_WEBHOOK), (ALERTS, settings.NOTIFY_ALERTS_WEBHOOK)):
        if address:
            found.append(Destination(f"chat:{channel}", Kind.CHAT, address, (channel,)))
    for place, address in enumerate(settings.NOTIFY_WEBHOOKS, 1):
        found.append(Destination(f"webhook:{place}", Kind.SIGNED, address, BOTH))
    for address in settings.NOTIFY_EMAIL:
        found.append(Destination(f"mail:{address}", Kind.MAIL, address, (ALERTS,)))
    for place, address in enumerate(settings.NOTIFY_APPRISE, 1):
        found.append(Destination(f"apprise:{place}", Kind.APPRISE, address, (ALERTS,)))
    return {destination.name: destination for destination in found}


def named(name: str) -> Destination | None:
    """The destination of this name, None if it is no longer configured."""
    if name.startswith(PERSON):
        address = name.removeprefix(PERSON)
        return Destination(name, Kind.APPRISE if "://" in address else Kind.MAIL, address)
    return destinations().get(name)
