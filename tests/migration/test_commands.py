"""The runbook's commands, as an operator types them: in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import manage
from migration import first_move, recording, routing
from migration.models import AuditEntry, PhaseRun, Rollback
from migration.rules.phases import phase_of
from tests.migration.installation import door, in_phase, installation  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}


@pytest.fixture
def run(installation, settings):
    """Run a command on this installation, with a database and Redis that cannot be reached."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {
            **os.environ,
            **NOWHERE,
            "STATE_DIR": str(settings.STATE_DIR),
            "SPOOL_DIR": str(settings.SPOOL_DIR),
            "ENVOY_STATE_DIR": str(settings.ENVOY_STATE_DIR),
            "PROXIES": ",".join(settings.PROXIES),
            "LEGACY_URL": settings.LEGACY_URL,
            **environment,
        }
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.mark.django_db
def test_an_emergency_needs_only_the_disk_and_the_proxy_and_is_recorded_later(run, installation):
    in_phase(installation, "rollout_50")

    done = run("universal_rollback", "emergency", "everything else is down", "--yes")

    assert done.returncode == 0, done.stderr
    assert "50 → 0 %: observed in" in done.stdout
    assert "stored when it is back" in done.stdout
    assert installation.file.latched().because == "everything else is down"
    assert {answer.system for answer in installation.beats(f"robot-{n}" for n in range(20)).values()} == {"legacy"}
    assert not Rollback.objects.exists()

    recording.drain()

    rollback = Rollback.objects.get()
    assert (rollback.is_emergency, rollback.from_phase, rollback.from_percent) == (True, "rollout_50", 50)
    assert rollback.route_version == installation.file.read().version, "the first move and the record are one rollback"
    assert rollback.written_seconds < rollback.seconds
    assert PhaseRun.objects.get(state="active").slug == "shadow"
    assert AuditEntry.objects.get().action == "rollback"


@pytest.mark.django_db
def test_an_emergency_moves_traffic_before_django_is_loaded_and_where_it_cannot_be(run, installation):
    in_phase(installation, "rollout_50")

    done = run("universal_rollback", "emergency", "the settings are broken", "--yes", SECRET_KEY="", DEBUG="")

    assert done.returncode != 0
    assert "SECRET_KEY is not set" in done.stderr
    assert done.stdout.startswith("Latched at 0 %: every proxy obeys after ")
    assert installation.file.latched().because == "the settings are broken"
    assert {answer.system for answer in installation.beats(f"robot-{n}" for n in range(20)).values()} == {"legacy"}


@pytest.mark.parametrize(
    "typed", [["emergency", "why"], ["emergency", "why", "--help"], ["emergency", " ", "--yes"], ["3", "why", "--yes"]]
)
def test_only_a_confirmed_emergency_with_a_reason_moves_traffic_before_django_is_loaded(
    installation, monkeypatch, typed
):
    monkeypatch.setenv("ENVOY_STATE_DIR", str(installation.file.directory))
    installation.route(routing.plan_for(phase_of("rollout_50"), {}))

    assert first_move.make(["universal_rollback", *typed]) is None
    assert installation.file.read().plan.percent == 50
    assert installation.file.latched() is None


@pytest.mark.django_db
def test_any_phase_can_be_named_by_slug_or_number_as_old_runbooks_do(run, installation):
    in_phase(installation, "rollout_25")

    done = run("universal_rollback", "3", "motor faults", "true")

    assert done.returncode == 0, done.stderr
    assert installation.file.read().plan.percent == 10


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["universal_rollback", "canary", "x", "--yes"], "unknown phase 'canary'"),
        (["universal_rollback", "current_phase", "  ", "--yes"], "a rollback needs a reason"),
        (["universal_rollback", "current_phase", "--yes"], "the following arguments are required: reason"),
        (["universal_rollback", "current_phase", "why"], "not confirmed: add --yes"),
        (["universal_rollback", "0", "why", "--yes"], "Preparation has nothing to go back to"),
        (["universal_rollback", "current_phase", "why", "--now"], "unrecognized arguments: --now"),
        (["update_traffic_split", "110"], "110 % is no phase's split"),
        (["update_traffic_split", "-5"], "-5"),
        (["update_traffic_split", "ten"], "invalid int value: 'ten'"),
        (["update_traffic_split"], "the following arguments are required: percent"),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_exit_2_and_nothing_changes(
    installation, monkeypatch, capsys, words, sentence
):
    before = installation.file.read()
    monkeypatch.setattr(sys, "argv", ["manage.py", *words])

    with pytest.raises(SystemExit) as ended:
        manage.main()

    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    assert sentence in said
    assert len(said.strip().splitlines()) == 1
    assert installation.file.read() == before


def test_the_split_that_is_asked_for_already_changes_nothing(run, installation):
    before = installation.file.read()

    done = run("update_traffic_split", "0")

    assert (done.returncode, done.stdout) == (0, "The split is at 0 % already (Preparation); nothing changed.\n")
    assert installation.file.read() == before


@pytest.mark.django_db
def test_a_lower_split_goes_back_at_once_without_a_database(run, installation):
    in_phase(installation, "rollout_50")

    done = run("update_traffic_split", "10")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("50 → 10 %, observed in ")
    assert installation.file.read().plan.phase == "canary_10"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("scripts/update_traffic_split.sh", ["110"]),
        ("scripts/universal_rollback.sh", ["nonsense", "why", "true"]),
    ],
)
def test_old_runbooks_call_the_same_commands(installation, script, words):
    env = {**os.environ, **NOWHERE, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    done = subprocess.run(
        [str(ROOT / script), *words], env=env, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2, done
