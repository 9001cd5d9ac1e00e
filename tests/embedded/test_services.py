import asyncio
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import dj_database_url
import psycopg
import pytest
import redis

from embedded.errors import PortTaken, UnsafeDirectory
from embedded.places import own_directory
from embedded.ports import check_free
from embedded.postgres import Postgres
from embedded.redis import Redis


@pytest.fixture
def postgres(state_dir: Path, runtime_dir: Path) -> Iterator[Postgres]:
    server = Postgres(state_dir / "postgres", runtime_dir)
    yield server
    server.stop()
    server.remove()


def _remember(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")


def _recall(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT text FROM note").fetchone()
        assert row is not None
        return str(row[0])


def test_data_survives_a_restart_of_postgres(postgres: Postgres) -> None:
    postgres.start()
    _remember(postgres.url)
    postgres.stop()
    assert postgres.pid is None

    postgres.start()

    assert _recall(postgres.url) == "kept"


def test_postgres_starts_again_after_kill_9_of_its_postmaster(postgres: Postgres) -> None:
    postgres.start()
    _remember(postgres.url)
    assert postgres.pid
    os.kill(postgres.pid, signal.SIGKILL)

    postgres.start()

    assert _recall(postgres.url) == "kept"


def test_a_server_that_a_dead_runner_left_in_the_same_directory_is_stopped_first(
    postgres: Postgres, state_dir: Path, runtime_dir: Path
) -> None:
    postgres.start()
    _remember(postgres.url)
    second = Postgres(state_dir / "postgres", runtime_dir)
    onlooker = subprocess.Popen(["sleep", "600"], cwd=postgres.data)

    second.start()
    try:
        assert onlooker.poll() is None
        assert postgres.pid is None
        assert _recall(second.url) == "kept"
    finally:
        second.stop()
        onlooker.kill()
        onlooker.wait()


def test_a_postmaster_pid_that_names_a_stranger_stops_nobody(postgres: Postgres) -> None:
    postgres.start()
    postgres.stop()
    (postgres.data.resolve() / "postmaster.pid").write_text(f"{os.getpid()}\n{postgres.data}\n")

    postgres.start()

    assert postgres.pid


def test_the_url_works_with_every_client_we_use(postgres: Postgres) -> None:
    postgres.start()

    async def by_asyncpg() -> str:
        connection = await asyncpg.connect(postgres.url)
        name = await connection.fetchval("SELECT current_database()")
        await connection.close()
        return str(name)

    with psycopg.connect(postgres.url) as connection:
        assert connection.info.dbname == "lekiwi"
    assert asyncio.run(by_asyncpg()) == "lekiwi"
    settings = dj_database_url.parse(postgres.url)
    assert settings["NAME"] == "lekiwi"
    assert settings["OPTIONS"]["host"] == str(postgres.sockets)


def test_postgres_is_durable_and_listens_on_no_port(postgres: Postgres) -> None:
    postgres.start()

    with psycopg.connect(postgres.url) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()
            for name in ("fsync", "synchronous_commit", "listen_addresses", "max_connections", "server_version_num")
        }
    assert shown["fsync"] == shown["synchronous_commit"] == ("on",)
    assert shown["listen_addresses"] == ("",)
    assert shown["max_connections"] == ("200",)
    assert shown["server_version_num"] is not None
    assert int(shown["server_version_num"][0]) >= 180000
    assert stat.S_IMODE(postgres.sockets.stat().st_mode) == 0o700


def test_what_redis_holds_survives_its_restart(state_dir: Path, runtime_dir: Path) -> None:
    server = Redis(state_dir / "redis", runtime_dir)
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            client.lpush("queue", "task")
        server.stop()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.lrange("queue", 0, -1) == [b"task"]
    finally:
        server.stop()


def test_a_port_that_is_taken_is_named_with_the_variable_that_changes_it(free_port: int) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port))
        listener.listen()
        with pytest.raises(PortTaken, match=rf"port {free_port} for legacy is taken.*LEGACY_PORT"):
            check_free("legacy", "LEGACY_PORT", free_port)

    check_free("legacy", "LEGACY_PORT", free_port)


def test_a_link_in_the_place_of_our_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "ours").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UnsafeDirectory):
        own_directory(tmp_path / "ours", 0o700)


def test_a_directory_that_is_already_there_is_never_made_more_open(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    own_directory(closed, 0o755)

    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
