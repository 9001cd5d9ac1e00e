import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedded import environment
from embedded.environment import EnvironmentFailed, ensure


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose environment was made."""
    place = tmp_path_factory.mktemp("checkout")
    (place / "requirements.txt").write_text("# nothing\n")
    assert ensure(place, "requirements.txt").exists()
    return place


def test_an_environment_is_used_again_until_the_requirements_change(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensure(root, "requirements.txt")
    assert capsys.readouterr().out == ""

    (root / "requirements.txt").write_text("# nothing yet\n")
    ensure(root, "requirements.txt")
    told = capsys.readouterr().out
    assert "Installing requirements.txt" in told
    assert "Making" not in told


def test_a_package_that_does_not_exist_is_named(root: Path) -> None:
    (root / "wrong.txt").write_text("./no-such-package\n")

    with pytest.raises(EnvironmentFailed, match="no-such-package"):
        ensure(root, "wrong.txt")


def test_a_folder_that_is_no_virtual_environment_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").touch()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "precious").touch()

    with pytest.raises(EnvironmentFailed, match="not a virtual environment"):
        ensure(tmp_path, "requirements.txt")
    assert (tmp_path / ".venv" / "precious").exists()


def test_an_old_python_is_told_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "OLDEST_PYTHON", (99, 0))

    with pytest.raises(EnvironmentFailed, match=r"Python 99\.0 or newer is needed"):
        ensure(tmp_path, "requirements.txt")


def test_modules_are_compiled_once_for_all_programs_whatever_the_environment_says(root: Path) -> None:
    (root / "program.py").write_text("import imported_by_the_program")
    (root / "imported_by_the_program.py").touch()
    enter = (
        "import pathlib, sys; from embedded.environment import enter; enter(pathlib.Path(sys.argv[1]), *sys.argv[2:])"
    )
    command = [sys.executable, "-c", enter, str(root), "requirements.txt", "program"]
    checkout = Path(environment.__file__).parents[1]
    given = {name: value for name, value in os.environ.items() if name != "PYTHONPYCACHEPREFIX"}

    subprocess.run(command, env={**given, "PYTHONDONTWRITEBYTECODE": "1"}, cwd=checkout, check=True)

    assert list((root / "var" / "pycache").rglob("imported_by_the_program.*.pyc"))
    assert not list(root.glob("__pycache__"))
