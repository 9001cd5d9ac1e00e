"""The new system, as ingest answers and as the site answers."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

from heartbeat.deployments import deployment_columns
from tests.contract.packages import Deployment
from tests.databases import own_database
from tests.heartbeat.running import ingest, site

_TABLES = (
    "heartbeat_heartbeat, heartbeat_spelling, heartbeat_robot, heartbeat_legacyrow, heartbeat_deployment,"
    " heartbeat_package, heartbeat_deploymentsrevision"
)


class NewSystem:
    """One of its processes, reset through its database."""

    repeats_the_nan_fault = False
    may_meet_a_closed_connection = False

    def __init__(self, base_url: str, database_url: str) -> None:
        self.base_url = base_url
        self._database_url = database_url

    def reset(self, deployments: Sequence[Deployment]) -> None:
        """Empty every table and store the deployments with their packages.

        A copy that the door sent late may be committed meanwhile, whose locks are taken in another order: then again.
        """
        try:
            self._reset(deployments)
        except psycopg.errors.DeadlockDetected:
            self._reset(deployments)

    def _reset(self, deployments: Sequence[Deployment]) -> None:
        with psycopg.connect(self._database_url) as connection:
            connection.execute(f"TRUNCATE {_TABLES} RESTART IDENTITY")
            for deployment in deployments:
                _keep(connection, deployment)


def _keep(connection: psycopg.Connection[tuple[object, ...]], deployment: Deployment) -> None:
    row = {**deployment.row, "package_path": f"/packages/{deployment.row['id']}.tar.gz"}
    columns = {"id": row["id"], **deployment_columns(row), "document": json.dumps(row), "package_sha256": ""}
    if deployment.package is not None:
        columns["package_sha256"] = hashlib.sha256(deployment.package).hexdigest()
        connection.execute(
            "INSERT INTO heartbeat_package VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (columns["package_sha256"], deployment.package),
        )
    names = ", ".join(f'"{name}"' for name in columns)
    places = ", ".join(["%s"] * len(columns))
    connection.execute(f"INSERT INTO heartbeat_deployment ({names}) VALUES ({places})", list(columns.values()))


@contextlib.contextmanager
def new_by_ingest(directory: Path) -> Iterator[NewSystem]:
    """Ingest, asked directly."""
    database_url = own_database(os.environ["DATABASE_URL"])
    with ingest(database_url, directory) as base_url:
        yield NewSystem(base_url, database_url)


@contextlib.contextmanager
def new_by_site(directory: Path) -> Iterator[NewSystem]:
    """The site, asked directly."""
    database_url = own_database(os.environ["DATABASE_URL"])
    with site(database_url, directory) as base_url:
        yield NewSystem(base_url, database_url)
