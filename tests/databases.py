"""Migrated databases for tests: the migrations run once on a server, and every other database is a copy."""

import os
import secrets
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

ROOT = Path(__file__).resolve().parent.parent


def own_database(server_url: str) -> str:
    """Make a database with all tables on the server of `server_url`; returns its URL."""
    name = f"t_{secrets.token_hex(6)}"
    template = migrated(server_url)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return _on(server_url, name)


@cache
def migrated(server_url: str) -> str:
    """The name of the server's database that has all tables and that nobody opens."""
    name = f"migrated_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    manage(_on(server_url, name), "migrate", "--skip-checks", "-v", "0")
    return name


def manage(database_url: str, *arguments: str) -> str:
    """Run a management command on a database; returns what it said."""
    command = [sys.executable, "-W", "ignore", "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment(database_url), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment(database_url: str) -> dict[str, str]:
    """What a process of the product is given to work on that database."""
    settings = {"DJANGO_SETTINGS_MODULE": "config.settings", "SECRET_KEY": "only-for-tests"}
    return {**os.environ, **settings, "DATABASE_URL": database_url}


def _on(server_url: str, name: str) -> str:
    # An empty host part must stay: postgres://user@/name?host=…
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()
