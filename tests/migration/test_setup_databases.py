"""`manage.py setup_databases` on a database that is not there yet, and the runbooks' old names."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

ROOT = Path(__file__).resolve().parents[2]
NAME = "lekiwi_made_by_setup"


@pytest.fixture
def server():
    """The tests' server, without the database that the command is to make."""
    with psycopg.connect(os.environ["DATABASE_URL"], dbname="postgres", autocommit=True) as opened:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(NAME))
        opened.execute(drop)
        yield opened
        opened.execute(drop)


def run(script, *words):
    """As an old runbook calls it, with this Python in the place of the checkout's own."""
    (line,) = [line for line in (ROOT / script).read_text().splitlines() if line.startswith("exec")]
    command = line.rsplit("manage.py", 1)[1].split()[1]
    url = os.environ["DATABASE_URL"].replace("/lekiwi?", f"/{NAME}?")
    return subprocess.run(
        [sys.executable, "manage.py", command, *words],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_missing_database_is_made_with_its_tables_and_the_roles(server):
    before = run("scripts/setup_databases.sh", "--check")
    assert (before.returncode, before.stderr.strip()) == (1, f"CommandError: there is no database {NAME}")

    made = run("scripts/setup_databases.sh")

    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[:2] == [f"Made the database {NAME}.", f"The tables of {NAME} are up to date."]
    with psycopg.connect(os.environ["DATABASE_URL"], dbname=NAME) as opened:
        assert opened.execute("SELECT count(*) FROM auth_group").fetchone() == (6,)
    assert (ROOT / "validation/run_prechecks.sh").stat().st_mode & 0o111
