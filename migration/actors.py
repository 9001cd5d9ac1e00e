"""Who does something: a person, a command on a host, or the watchdog."""

import getpass
import os
from dataclasses import dataclass
from typing import Any

from migration.rules.voting import Role


@dataclass(frozen=True, slots=True)
class Actor:
    """A name for the audit log."""

    name: str

    @classmethod
    def of(cls, user: Any) -> "Actor":
        """The person who is logged in."""
        return cls(user.get_username())

    @classmethod
    def on_this_host(cls) -> "Actor":
        """Whoever runs a command here; containers may have no name for the user id."""
        try:
            name = getpass.getuser()
        except (KeyError, OSError):
            name = f"uid {os.getuid()}"
        return cls(f"command ({name})")


WATCHDOG = Actor("watchdog")


def role_of(user: Any) -> Role | None:
    """The voting role of a person: the group of that name they are in."""
    names = set(user.groups.values_list("name", flat=True))
    return next((role for role in Role if role.value in names), None)
