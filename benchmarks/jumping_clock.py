"""Runs a Python module whose wall clock can be set from outside: `python -m benchmarks.jumping_clock FILE MODULE …`.

FILE holds how many seconds the clock is ahead, and may be written at any time: the clock then jumps, as one does that
NTP or a person sets. Monotonic clocks are left alone, as the kernel leaves them.
"""

import runpy
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

LOOK_SECONDS = 0.02


def follow(file: Path) -> None:
    """Set the clock whenever the file says something else."""
    ahead, travelling = 0.0, None
    while True:
        if (told := told_by(file)) != ahead:
            if travelling:
                travelling.stop()
            travelling = time_machine.travel(datetime.now(UTC) + timedelta(seconds=told), tick=True)
            travelling.start()
            ahead = told
        time.sleep(LOOK_SECONDS)


def told_by(file: Path) -> float:
    """What the file says; nothing there is a right clock."""
    try:
        return float(file.read_text() or 0)
    except FileNotFoundError:
        return 0.0


def set_ahead(file: Path, seconds: float) -> None:
    """Let every clock that follows the file jump."""
    written = file.with_suffix(".new")
    written.write_text(f"{seconds}")
    written.replace(file)


def main() -> None:
    """Become the module, with the clock."""
    _, file, module, *arguments = sys.argv
    threading.Thread(target=follow, args=(Path(file),), name="clock", daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
