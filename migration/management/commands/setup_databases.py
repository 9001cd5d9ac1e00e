"""`manage.py setup_databases`: the database of DATABASE_URL, its tables and partitions, and the groups of the roles."""

from io import StringIO
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import CommandParser
from django.db import Error as DatabaseError
from django.db import connection
from psycopg import sql

from migration.management.commands.demo_users import make_groups
from migration.runbook import RunbookCommand, not_done

#: the database that every server has, from which others are made
_MAINTENANCE = "postgres"


class Command(RunbookCommand):
    help = "Make the database if it is not there, bring its tables up to date, and look at Redis. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing: exit 1 if something would be changed")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        name = str(connection.settings_dict["NAME"])
        if not self._exists(name):
            if check:
                raise not_done(f"there is no database {name}")
            self._create(name)
            self.stdout.write(f"Made the database {name}.")
        if check:
            self._require_migrated()
        else:
            call_command("migrate", interactive=False, verbosity=0, stdout=StringIO())
            self._keep_history()
            make_groups()
        self.stdout.write(f"The tables of {name} are up to date.")
        self._redis()

    def _exists(self, name: str) -> bool:
        with self._maintenance() as opened:
            return bool(opened.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone())

    def _create(self, name: str) -> None:
        with self._maintenance() as opened:
            opened.execute(
                sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(name))
            )

    def _maintenance(self) -> psycopg.Connection[Any]:
        given = connection.get_connection_params()
        wanted = {name: given.get(name) for name in ("host", "port", "user", "password", "sslmode", "connect_timeout")}
        try:
            return psycopg.connect(
                **{name: value for name, value in wanted.items() if value}, dbname=_MAINTENANCE, autocommit=True
            )
        except psycopg.Error as error:
            raise not_done(f"PostgreSQL cannot be reached: {error}") from error

    def _require_migrated(self) -> None:
        try:
            call_command("migrate", check_unapplied=True, verbosity=0, stdout=StringIO())
        except SystemExit as error:
            raise not_done("migrations wait: run manage.py setup_databases") from error
        except DatabaseError as error:
            raise not_done(str(error)) from error

    def _keep_history(self) -> None:
        try:
            call_command("keep_history", stdout=StringIO(), stderr=StringIO())
        except CommandError as busy:
            self.stdout.write(f"Partitions are made by a worker: {busy}")

    def _redis(self) -> None:
        client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2.0, socket_connect_timeout=2.0)
        try:
            version = client.info("server")["redis_version"]
        except redis.RedisError as error:
            raise not_done(f"the tables are there, but Redis does not answer: {error}") from error
        finally:
            client.close()
        self.stdout.write(f"Redis {version} answers.")
