"""The virtual environment beside the checkout, made by `bin/demo` and `bin/test`. Standard library only."""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

OLDEST_PYTHON = (3, 11)
UV = "uv==0.13.9"


class EnvironmentFailed(Exception):
    """The virtual environment could not be made; the text says what to do."""


def ensure(root: Path, requirements: str) -> Path:
    """Return the Python of `root`/.venv with everything of the file `requirements` installed.

    Does nothing when the file's content is what was installed last; `EnvironmentFailed` with the remedy otherwise.
    """
    if sys.version_info < OLDEST_PYTHON:
        have, need = (".".join(map(str, version[:2])) for version in (sys.version_info, OLDEST_PYTHON))
        raise EnvironmentFailed(f"Python {need} or newer is needed, this is {have}: run it with a newer python3")
    home = root / ".venv"
    python = home / "bin" / "python"
    stamp = home / f".installed-{requirements}.sha256"
    wanted = hashlib.sha256((root / requirements).read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted and _runs(python):
        return python
    try:
        (root / "var").mkdir(exist_ok=True)
        with (root / "var" / "venv.lock").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)  # demo and test may be started at the same moment
            if not _runs(python):
                _make(home)
            _install(python, root / requirements)
            stamp.write_text(wanted)
    except PermissionError as error:
        raise EnvironmentFailed(
            f"cannot write {error.filename}: run it as the owner of {root}, or clone it to a place of your own"
        ) from error
    except OSError as error:
        raise EnvironmentFailed(f"cannot make {home}: {error.strerror}") from error
    return python


def _runs(python: Path) -> bool:
    """Say whether this Python starts and is new enough: a checkout may have been moved, or belong to another user."""
    check = f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    try:
        return subprocess.run([python, "-c", check], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _make(home: Path) -> None:
    if home.exists() and not (home / "pyvenv.cfg").exists() and any(home.iterdir()):
        raise EnvironmentFailed(f"{home} is not a virtual environment: move it away")
    print(f"Making {home} …", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(home)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        told = (done.stdout + done.stderr).strip().splitlines()
        if any("ensurepip" in line for line in told):
            raise EnvironmentFailed("this Python cannot make virtual environments: apt-get install python3-venv")
        raise EnvironmentFailed(f"python -m venv failed: {told[-1] if told else 'no reason given'}")


def _install(python: Path, requirements: Path) -> None:
    began = time.monotonic()
    print(f"Installing {requirements.name} …", flush=True)
    uv = python.parent / "uv"
    if not uv.exists():
        _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV])
    by_uv = _run([uv, "pip", "install", "--quiet", "--python", python, "-r", requirements]) if uv.exists() else "no uv"
    if by_uv:
        print(f"uv could not ({by_uv}); trying pip, which takes a minute …", flush=True)
        by_pip = _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements])
        if by_pip:
            raise EnvironmentFailed(f"pip could not install {requirements.name}: {by_pip}")
    print(f"Installed {requirements.name} in {time.monotonic() - began:.0f} s.", flush=True)


def _run(command: "list[str | Path]") -> str:
    """Run it quietly and return why it failed, in one line; empty when it did not."""
    # Whoever calls us may have another environment active; uv and pip would listen to it.
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=env)
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")] or lines or ["no reason given"]
    return errors[-1] if done.returncode else ""


def enter(root: Path, requirements: str, module: str) -> None:
    """Make the environment, then become `python -m module` of it with this command's arguments; exit 1 if it fails."""
    try:
        python = ensure(root, requirements)
    except EnvironmentFailed as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
    env = {**os.environ, "PYTHONPATH": _path_with(root)}
    # Dozens of interpreters are started from here, and reading their sources anew is half of what a start takes.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env.setdefault("PYTHONPYCACHEPREFIX", str(root / "var" / "pycache"))
    os.execve(python, [str(python), "-m", module, *sys.argv[1:]], env)


def _path_with(root: Path) -> str:
    """The checkout first on Python's path, so that the command works from any directory."""
    return os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
