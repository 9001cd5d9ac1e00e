from pathlib import Path

import pytest

from embedded import environment
from embedded.environment import EnvironmentFailed, ensure


def test_the_environment_is_made_once_and_again_only_when_the_requirements_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    python = ensure(tmp_path, "requirements.txt")
    assert python.exists()
    assert "Making" in capsys.readouterr().out

    ensure(tmp_path, "requirements.txt")
    assert capsys.readouterr().out == ""

    (tmp_path / "requirements.txt").write_text("# nothing yet\n")
    ensure(tmp_path, "requirements.txt")
    told = capsys.readouterr().out
    assert "Installing requirements.txt" in told
    assert "Making" not in told


def test_a_package_that_does_not_exist_is_named(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("./no-such-package\n")

    with pytest.raises(EnvironmentFailed, match="no-such-package"):
        ensure(tmp_path, "requirements.txt")


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
