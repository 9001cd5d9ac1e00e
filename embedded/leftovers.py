"""Records of what a runner started, so that the next one can end exactly that and nothing else.

A runner that is killed with -9 cannot clean up. The kernel tells its children (`children.die_with_parent`), but a
stuck child may not listen. A process number alone proves nothing, it is given out again; the number together
with the moment the process started does.
"""

import contextlib
import json
import os
import signal
from pathlib import Path

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def identity(pid: int) -> str | None:
    """Return what tells the process `pid` from every other that has had its number; None if there is none."""
    try:
        # The command name, in parentheses, may hold spaces; field 22 is the start in clock ticks since boot.
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return f"{_BOOT_ID.read_text().strip()}/{ticks}"
    except FileNotFoundError:
        pass
    except OSError:
        return None
    with contextlib.suppress(psutil.Error):  # no /proc on this system
        return None if Path("/proc/self/stat").exists() else f"{psutil.Process(pid).create_time():.3f}"
    return None


class Records:
    """One JSON file per running process in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, name: str, pid: int) -> None:
        """Remember that the process `pid`, leader of its own group, runs as `name`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self._path(name)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"name": name, "pid": pid, "started": identity(pid)}))
        fresh.replace(path)

    def forget(self, name: str) -> None:
        """Drop the record of `name`."""
        self._path(name).unlink(missing_ok=True)

    def end_leftovers(self, grace_seconds: float = 10) -> list[str]:
        """End every recorded process that is still the same one: SIGTERM, then SIGKILL to its group.

        Returns the names of those that were ended. Processes whose number now belongs to another are left alone.
        """
        running = [(name, process) for name, process in self._recorded() if process is not None]
        for _, process in running:
            _signal_group(process.pid, signal.SIGTERM)
            _signal_group(process.pid, signal.SIGCONT)
        _, stuck = psutil.wait_procs([process for _, process in running], timeout=grace_seconds)
        for process in stuck:
            _signal_group(process.pid, signal.SIGKILL)
        psutil.wait_procs(stuck, timeout=5)
        for path in self.directory.glob("*.json"):
            path.unlink()
        return [name for name, _ in running]

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def _recorded(self) -> list[tuple[str, psutil.Process | None]]:
        found: list[tuple[str, psutil.Process | None]] = []
        for path in sorted(self.directory.glob("*.json")):
            try:
                record = json.loads(path.read_text())
                name, pid, started = str(record["name"]), int(record["pid"]), record["started"]
            except (ValueError, KeyError, TypeError):
                continue  # cut off by a full disk: it proves nothing
            same = started is not None and identity(pid) == started and os.getpid() != pid
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append((name, psutil.Process(pid) if same else None))
        return found


def _signal_group(pid: int, wanted: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, wanted)
