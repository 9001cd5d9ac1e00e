"""What `bin/test` runs: format, lint, types, layers, migrations, then every test; or pytest on the paths given."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: makemigrations reads the settings, which refuse to start without a key
SETTINGS_FOR_CHECKS = {"SECRET_KEY": "only-for-checks"}


def steps() -> dict[str, list[str]]:
    """Return name and command of each check, in order."""
    programs = Path(sys.executable).parent
    return {
        "format": [str(programs / "ruff"), "format", "--check", "--quiet", "."],
        "lint": [str(programs / "ruff"), "check", "--quiet", "."],
        "types": [str(programs / "mypy")],
        "layers": [str(programs / "lint-imports")],
        "migrations": [sys.executable, "-W", "ignore", "manage.py", "makemigrations", "--check", "--dry-run"],
        # Most tests wait for processes more than they compute; those marked `alone` measure, or fill the machine.
        "tests": [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "-m", "not alone"],
        "tests that need the machine alone": [sys.executable, "-m", "pytest", "-m", "alone"],
    }


def main(arguments: list[str]) -> int:
    """Run all checks and return 0 only if each passed; with arguments, run pytest alone with them."""
    if arguments:
        # As given: a path is meant from where the person stands.
        return subprocess.run([sys.executable, "-m", "pytest", f"--rootdir={ROOT}", *arguments], check=False).returncode
    failed, began = [], time.monotonic()
    for name, command in steps().items():
        print(f"── {name}", flush=True)
        step_began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, env={**SETTINGS_FOR_CHECKS, **os.environ}, check=False)
        print(f"── {name}: {'ok' if done.returncode == 0 else 'FAILED'} ({time.monotonic() - step_began:.1f} s)")
        if done.returncode:
            failed.append(name)
    print(f"{'Failed: ' + ', '.join(failed) if failed else 'All passed'} in {time.monotonic() - began:.0f} s.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
