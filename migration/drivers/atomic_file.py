"""Files that are replaced as a whole or not at all, and the lock that their writers share."""

import contextlib
import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from migration.drivers.errors import CannotWriteRoutes, LostLock

#: a writer needs milliseconds; one that holds the lock for longer stands still (stopped, or a disk that hangs)
PATIENCE_SECONDS = 1.0
_RETRY_SECONDS = 0.005
_SCRATCH = ".scratch-"


def replace(path: Path, text: str, directory: Path, lock: "Lock") -> None:
    """Put `text` in place of `path` by one rename, on disk when this returns. `directory` is on the same file system.

    Raises `CannotWriteRoutes` or `LostLock`, and leaves the old file as it was.
    """
    scratch = directory / f"{_SCRATCH}{uuid.uuid4()}"
    try:
        with scratch.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        lock.require()
        _rename(scratch, path)
        _sync_directory(path.parent)
    except OSError as error:
        raise CannotWriteRoutes(path, error.strerror or str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)


def remove_scratch(directory: Path) -> None:
    """Remove what other writers left behind. Called with the lock held: one that stands still cannot go on then."""
    for scratch in directory.glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)


def make_directories(*directories: Path) -> None:
    """Make each directory that is missing. Raises `CannotWriteRoutes`."""
    for directory in directories:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotWriteRoutes(directory, error.strerror or str(error)) from error


class Lock:
    """Held by the one writer. `still_held` says whether it is, right before something becomes visible."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def require(self) -> None:
        """Raise `LostLock` if another writer lost patience with this one."""
        if not _same_file(self._path, self._descriptor):
            raise LostLock


@contextmanager
def locked(path: Path, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[Lock]:
    """Hold the lock file at `path`. Whoever holds it for longer than the patience loses it to this caller.

    A stopped writer must not delay a rollback, so its lock file is replaced by a new one; it finds out at its next
    `Lock.require()`. Raises `CannotWriteRoutes`.
    """
    deadline = time.monotonic() + patience_seconds
    descriptor = _open(path)
    try:
        while True:
            if _try(descriptor):
                if _same_file(path, descriptor):
                    break
                # The file was replaced while we waited: queue at the new one.
            elif time.monotonic() >= deadline:
                _unlink_if_same(path, descriptor)
            else:
                time.sleep(_RETRY_SECONDS)
                if _same_file(path, descriptor):
                    continue
            os.close(descriptor)
            descriptor = _open(path)
            deadline = time.monotonic() + patience_seconds
        yield Lock(path, descriptor)
    finally:
        os.close(descriptor)


def _rename(scratch: Path, path: Path) -> None:
    try:
        scratch.replace(path)
    except FileNotFoundError:
        # Whoever took the lock has removed it, and has written since.
        raise LostLock from None


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise CannotWriteRoutes(path, error.strerror or str(error)) from error


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same_file(path: Path, descriptor: int) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _unlink_if_same(path: Path, descriptor: int) -> None:
    if _same_file(path, descriptor):
        path.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
