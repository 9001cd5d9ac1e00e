"""Who does something: a person, a command on a host, or the watchdog."""

from dataclasses import dataclass
from typing import Any

from heartbeat.this_host import on_this_host
from migration.rules.voting import Role


@dataclass(frozen=True, slots=True)
class Actor:
    """A name for the audit log."""

    name: str
    #: somebody who is logged in, and whom a second person can therefore be told from
    is_login: bool = False

    @classmethod
    def of(cls, user: Any) -> "Actor":
        """The person who is logged in."""
        return cls(user.get_username(), is_login=True)

    @classmethod
    def on_this_host(cls) -> "Actor":
        """Whoever runs a command here."""
        return cls(on_this_host())


WATCHDOG = Actor("watchdog")


def role_of(user: Any) -> Role | None:
    """The voting role of a person: the group of that name they are in."""
    names = set(user.groups.values_list("name", flat=True))
    return next((role for role in Role if role.value in names), None)
