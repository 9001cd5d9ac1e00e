"""Either system behind the robots' door: legacy before the migration, the new one after it."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from embedded.envoy import TEMPLATE, Envoy
from embedded.ports import free_ports
from migration.drivers.route_file import RouteFile
from migration.rules.plans import RoutePlan
from tests.contract.new_system import NewSystem
from tests.contract.packages import Deployment
from tests.databases import own_database
from tests.heartbeat.running import ingest, site


class Resettable(Protocol):
    """Anything with an address that can be reset."""

    base_url: str

    def reset(self, deployments: Sequence[Deployment]) -> None:
        """Hold exactly these deployments and nothing else."""


class BehindTheDoor:
    """A door with both systems behind it; what is deployed is deployed in both, as sync keeps it."""

    may_meet_a_closed_connection = True

    def __init__(self, base_url: str, legacy: Resettable, new: NewSystem, *, repeats_the_nan_fault: bool) -> None:
        self.base_url = base_url
        self.repeats_the_nan_fault = repeats_the_nan_fault
        self._systems = (legacy, new)

    def reset(self, deployments: Sequence[Deployment]) -> None:
        """Reset both systems."""
        for system in self._systems:
            system.reset(deployments)


def behind_the_door(
    legacy_server: Callable[[Path], AbstractContextManager[Resettable]], plan: RoutePlan
) -> Callable[[Path], AbstractContextManager[BehindTheDoor]]:
    """A system of the suite: the door under this plan, with the legacy server and the new system behind it."""

    @contextlib.contextmanager
    def open_door(directory: Path) -> Iterator[BehindTheDoor]:
        with contextlib.ExitStack() as stack:
            legacy = stack.enter_context(legacy_server(directory))
            database_url = own_database(os.environ["DATABASE_URL"])
            new = stack.enter_context(ingest(database_url, directory))
            pages = stack.enter_context(site(database_url, directory))
            robots, own, admin, live = free_ports(4)
            ports = {
                "ROBOTS_DOOR_PORT": robots,
                "OWN_DOOR_PORT": own,
                "ENVOY_ADMIN_PORT": admin,
                "LIVE_PORT": live,
                "LEGACY_PORT": urlsplit(legacy.base_url).port or 0,
                "INGEST_PORT": urlsplit(new).port or 0,
                "SITE_PORT": urlsplit(pages).port or 0,
            }
            state = directory / "envoy"
            RouteFile(state).initialise(plan)
            envoy = Envoy(state, TEMPLATE, ports)
            envoy.start()
            stack.callback(envoy.stop)
            yield BehindTheDoor(
                f"http://127.0.0.1:{robots}",
                legacy,
                NewSystem(new, database_url),
                repeats_the_nan_fault=plan.percent == 0,
            )

    return open_door
