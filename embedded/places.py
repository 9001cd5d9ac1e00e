"""Where sockets and data live, and whether a directory may be trusted with them."""

import hashlib
import os
import stat
import subprocess
import tempfile
from pathlib import Path

from embedded.errors import StartError, UnsafeDirectory

#: PostgreSQL refuses to run as root; this account owns nothing else and exists on every Linux
NOBODY = 65534


def short_name(path: Path) -> str:
    """Return a short stable name for `path`, to be used where the path itself would be too long."""
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:10]


def own_directory(path: Path, mode: int, owner: int | None = None) -> Path:
    """Make `path` a directory of ours with `mode`, or raise `UnsafeDirectory` if it is somebody else's.

    An existing directory keeps its mode unless it is the owner's and too open; it is never loosened.
    Names under /tmp are predictable: another account may have put its own directory or a link there.
    """
    wanted = os.geteuid() if owner is None else owner
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=False)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), wanted):
            raise UnsafeDirectory(f"{path} belongs to another account: remove it, then start again") from None
        if found.st_mode & 0o777 & ~mode:
            path.chmod(found.st_mode & mode)
    except OSError as error:
        raise StartError(f"cannot make {path} ({error.strerror}): choose another place with --data") from error
    else:
        path.chmod(mode)
    if wanted != path.stat().st_uid:
        os.chown(path, wanted, wanted)
    return path


def runtime_directory(state: Path) -> Path:
    """Return the short directory for the sockets of `state`, made if need be.

    A Unix socket's path may have 107 bytes at most, which a deep checkout exceeds. As root it may be passed
    through (0711), because PostgreSQL runs as another account; each socket in it is closed by itself.
    """
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent")
    if os.geteuid() == 0 or len(str(base)) > 50 or not (base.is_dir() and os.access(base, os.W_OK)):
        base = Path(tempfile.gettempdir()) if len(tempfile.gettempdir()) <= 50 else Path("/tmp")
    path = base / f"lekiwi-{os.geteuid()}-{short_name(state)}"
    return own_directory(path, 0o711 if os.geteuid() == 0 else 0o700)


def reachable_by(uid: int, directory: Path) -> bool:
    """Say whether the account `uid` can pass through `directory` (asked by being it, so ACLs count too)."""
    done = subprocess.run(["test", "-x", str(directory)], user=uid, group=uid, extra_groups=[], cwd="/", check=False)
    return done.returncode == 0
