"""The systems that must honour the legacy contract. To add one: write its class, and one entry in `SYSTEMS`."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from migration.rules.plans import RoutePlan
from tests.contract.door import behind_the_door
from tests.contract.new_system import new_by_ingest, new_by_site
from tests.contract.packages import Deployment
from tests.contract.wire import Answer, Request, send

ROOT = Path(__file__).resolve().parents[2]


class SystemUnderTest(Protocol):
    """What the suite needs from a system.

    `repeats_the_nan_fault`: legacy answers its own reads with 500 after a NaN in `health`. That is not to be copied,
    so this is True for the legacy server alone; the others answer the row with null in its place.
    """

    base_url: str
    repeats_the_nan_fault: bool
    #: legacy closes its connection after a failure of its own; a proxy that sends on it at that moment answers 503
    may_meet_a_closed_connection: bool

    def reset(self, deployments: Sequence[Deployment]) -> None:
        """Forget all robots and hold exactly these deployments, in this order, with their packages.

        A row gets its `package_path` as its last key; it ends with `/<id>.tar.gz`.
        """


def ask(system: SystemUnderTest, request: Request) -> Answer:
    """Send a request; a read that met a closed connection is sent again, as an operator would."""
    answer = send(system.base_url, request)
    if answer.status == 503 and request.method == "GET" and system.may_meet_a_closed_connection:
        return send(system.base_url, request)
    return answer


class SimulatedLegacy:
    """The legacy server of `simulator/`, reset through its control endpoint."""

    repeats_the_nan_fault = True
    may_meet_a_closed_connection = False

    def __init__(self, base_url: str, packages: Path) -> None:
        self.base_url = base_url
        self.packages = packages

    def reset(self, deployments: Sequence[Deployment]) -> None:
        rows = []
        for deployment in deployments:
            path = self.packages / f"{deployment.row['id']}.tar.gz"
            path.unlink(missing_ok=True)
            if deployment.package is not None:
                path.write_bytes(deployment.package)
            rows.append({**deployment.row, "package_path": str(path)})
        wish = json.dumps({"deployments": rows}).encode()
        answer = send(self.base_url, Request("PUT", "/_sim/state", body=wish))
        assert answer.status == 200, answer.body


@contextlib.contextmanager
def simulated_legacy(directory: Path, *flags: str) -> Iterator[SimulatedLegacy]:
    """Run `python -m simulator.legacy` on a free port; teleoperation looks take no time."""
    packages = directory / "packages"
    packages.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "simulator.legacy", "--port", "0", "--look-seconds", "0", *flags]
    with (directory / "legacy.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, env=os.environ, text=True)
    try:
        assert process.stdout is not None
        announcement = process.stdout.readline()
        assert announcement.startswith("legacy listening on "), (directory / "legacy.log").read_text()
        yield SimulatedLegacy(announcement.split()[-1], packages)
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()


SYSTEMS: dict[str, Callable[[Path], AbstractContextManager[SystemUnderTest]]] = {
    "simulated-legacy": simulated_legacy,
    "new-ingest": new_by_ingest,
    "new-site": new_by_site,
    "door-legacy": behind_the_door(simulated_legacy, RoutePlan.preparation()),
    "door-new": behind_the_door(simulated_legacy, RoutePlan.split(100)),
}
# A proxy tidies up paths such as `//api/robots` before the system sees them.
BEHIND_A_PROXY: frozenset[str] = frozenset({"door-legacy", "door-new"})
