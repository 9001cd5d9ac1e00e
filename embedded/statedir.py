"""The directory below which everything of one demo lives."""

import errno
import json
import os
import secrets
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from embedded.errors import StartError
from embedded.places import own_directory

MARKER = ".lekiwi-demo"
NEEDED_MEGABYTES = 500
#: what `--reset` keeps: the lock is held while it runs
_KEPT = {MARKER, "lock"}


def open_state(state: Path) -> Path:
    """Make or check the state directory and return it; `StartError` with the remedy if it cannot be used.

    Only an empty directory or one that a demo made is used: `--reset` deletes what is in it.
    """
    # As root it must let PostgreSQL's account through; what is secret in it is closed by itself.
    own_directory(state, 0o711 if os.geteuid() == 0 else 0o700)
    if not (state / MARKER).exists() and any(state.iterdir()):
        raise StartError(f"{state} holds something else than a demo: choose an empty place with --data")
    free = shutil.disk_usage(state).free // 1_000_000
    if free < NEEDED_MEGABYTES:
        raise StartError(
            f"only {free} MB are free at {state}, {NEEDED_MEGABYTES} are needed: "
            "free some, or choose another place with --data"
        )
    try:
        (state / MARKER).touch()
    except OSError as error:
        raise StartError(explain(error)) from error
    return state


def explain(error: OSError) -> str:
    """Return one sentence with the remedy for a disk that is full, or a place we may not write to."""
    place = error.filename or "the disk"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space is left at {place}: free some, or choose another place with --data"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{place} cannot be written: choose another place with --data"
    return f"{place}: {error.strerror}"


def secret_key(state: Path) -> str:
    """Return the key that signs sessions, made once and readable by its owner alone."""
    path = state / "secret_key"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text()


def enrolment_token_of(state: Path) -> Path:
    """Where the token is with which the fleet's v2 robots get their own, once everything is prepared."""
    return state / "fleet" / "enrolment_token"


def remember_logins(state: Path, build: str, logins: list[str]) -> None:
    """Note that everything is prepared for `build`, and the logins to tell next time."""
    path = state / "prepared.json"
    path.touch(0o600)
    path.write_text(json.dumps({"build": build, "logins": logins}))


def remembered_logins(state: Path, build: str) -> list[str]:
    """Return the logins of a preparation for the same `build`; none when it must be done (again)."""
    try:
        told = json.loads((state / "prepared.json").read_text())
    except (FileNotFoundError, ValueError):
        return []
    return list(told["logins"]) if told["build"] == build else []


def reset(state: Path, remove_postgres: Callable[[], None]) -> None:
    """Delete all data. `remove_postgres` knows where PostgreSQL's is. Nothing may run."""
    remove_postgres()
    for entry in state.iterdir():
        if entry.name not in _KEPT:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def write_environment(path: Path, variables: Mapping[str, str]) -> None:
    """Write what a shell needs to run commands on this system. It holds the secret key, so only its owner reads it."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(lines)
