"""One runner per data directory."""

import fcntl
import os
from pathlib import Path
from typing import IO

from embedded.errors import AlreadyRunning


def lock(state: Path) -> IO[str]:
    """Lock `state` for this process and return the open file, to be kept until the end; `AlreadyRunning` if taken.

    The kernel frees the lock when the process ends, however it ends; children do not inherit it.
    """
    handle = (state / "lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        holder = handle.read().strip() or "unknown"
        handle.close()
        raise AlreadyRunning(
            f"a demo already runs on {state} (process {holder}): stop it first, or choose another place with --data"
        ) from None
    handle.seek(0)
    handle.truncate()
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle
