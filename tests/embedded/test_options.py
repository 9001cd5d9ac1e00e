import stat
import subprocess
import sys
from pathlib import Path

import pytest

from embedded import layout, variables
from embedded.errors import StartError
from embedded.options import parse
from embedded.statedir import explain, open_state, remember_logins, remembered_logins, reset, secret_key

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--fast"], "unrecognized arguments: --fast"),
        (["now"], "unrecognized arguments: now"),
        (["--robots", "many"], "'many' is no number of robots"),
        (["--robots", "0"], "'0' is no number of robots"),
        (["--report", "r.json"], "--report needs --autopilot"),
        (["--mild-latency"], "--mild-latency needs --autopilot"),
        (["--autopilot", "--no-fleet"], "cannot go with --no-fleet"),
        (["--autopilot", "--report", "/nowhere/at/all.json"], "there is no directory /nowhere/at"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_one_sentence_and_code_2(
    arguments: list[str], sentence: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "embedded.demo", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_the_data_lives_where_it_was_asked_for() -> None:
    assert parse([], {}).data == ROOT / "var" / "demo"
    assert parse([], {"STATE_DIR": "/srv/lekiwi"}).data == Path("/srv/lekiwi")
    assert parse(["--data", "/srv/other"], {"STATE_DIR": "/srv/lekiwi"}).data == Path("/srv/other")
    assert parse(["--autopilot"], {"STATE_DIR": "/srv/lekiwi"}).data is None


def test_a_port_that_is_no_number_or_given_twice_is_named() -> None:
    with pytest.raises(StartError, match="SITE_PORT is 'eighty'"):
        layout.ports_from({"SITE_PORT": "eighty"})
    with pytest.raises(StartError, match="LEGACY_PORT and SITE_PORT are both 8000"):
        layout.ports_from({"SITE_PORT": "8000"})
    assert layout.ports_from({"LEGACY_PORT": "9000"})["LEGACY_PORT"] == 9000


def test_a_directory_with_other_things_in_it_is_never_taken_for_a_demo(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()

    with pytest.raises(StartError, match="holds something else"):
        open_state(tmp_path)


def test_reset_forgets_everything_but_the_lock(tmp_path: Path) -> None:
    state = open_state(tmp_path / "demo")
    first = secret_key(state)
    assert stat.S_IMODE((state / "secret_key").stat().st_mode) == 0o600
    assert secret_key(state) == first
    (state / "lock").touch()
    (state / "envoy").mkdir()

    reset(state, lambda: None)

    assert {path.name for path in state.iterdir()} == {"lock", ".lekiwi-demo"}
    assert secret_key(open_state(state)) != first


def test_a_full_disk_and_a_closed_place_are_told_with_the_remedy() -> None:
    assert "no space is left at /x: free some" in explain(OSError(28, "No space left on device", "/x"))
    assert "cannot be written: choose another place" in explain(PermissionError(13, "Permission denied", "/x"))


def test_a_place_that_may_not_be_written_is_told_with_the_remedy() -> None:
    closed = Path("/proc/lekiwi")

    with pytest.raises(StartError, match=r"cannot make /proc/lekiwi .*choose another place with --data"):
        open_state(closed)


def test_the_build_has_a_name_that_follows_the_code() -> None:
    assert variables.build_of_source() == variables.build_of_source() != ""


def test_a_preparation_is_remembered_for_one_build_only(tmp_path: Path) -> None:
    assert remembered_logins(tmp_path, "v1") == []

    remember_logins(tmp_path, "v1", ["lead lead-demo migration_lead"])

    assert remembered_logins(tmp_path, "v1") == ["lead lead-demo migration_lead"]
    assert remembered_logins(tmp_path, "v2") == []
    assert stat.S_IMODE((tmp_path / "prepared.json").stat().st_mode) == 0o600


def test_a_share_of_the_robots_may_speak_v2(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(["--v2-share", "0.25"], {}).v2_share == 0.25
    assert parse([], {}).v2_share == 0.2

    with pytest.raises(SystemExit):
        parse(["--v2-share", "10"], {})
    assert "between 0 and 1" in capsys.readouterr().err
