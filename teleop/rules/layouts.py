"""What differs from robot to robot and is data: ports, and how long the robot waits for a command."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """`kind` and `site` say whose it is; an empty one holds for all of them."""

    kind: str = ""
    site: str = ""
    command_ports: frozenset[int] = frozenset({5555})
    observation_ports: frozenset[int] = frozenset({5556})
    #: the robot's own watchdog: without a command for this long it is not operated, seconds
    command_timeout: float = 0.5


USUAL = Layout()


def layout_for(kind: str, site: str, known: Iterable[Layout]) -> Layout:
    """The layout that says most about a robot of this kind at this site: both named, then kind, then site."""
    fitting = [each for each in known if each.kind in ("", kind) and each.site in ("", site)]
    return max(fitting, key=lambda each: (bool(each.kind) + bool(each.site), bool(each.kind)), default=USUAL)
