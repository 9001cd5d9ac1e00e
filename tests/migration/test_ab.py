"""The A/B test between running systems."""

import json
import os
import re
import shlex
import sys
from pathlib import Path

import httpx
import psycopg
import pytest
from django.core.management import CommandError, call_command

from migration.rules.noise import Noise, differences
from migration.rules.sequential import Verdict
from migration.validation.ab import calls, testing
from migration.validation.ab.scratch import Scratch
from tests.migration.two_systems import TwoSystems, put, row, two_systems  # noqa: F401

SEEN = "2026-11-24T09:00:00.000000"


def body(**changes):
    return [{"robot_id": "r", "status": "idle", "last_seen": SEEN, **changes}]


def test_what_legacy_varies_in_by_itself_is_no_difference_and_nothing_else_is_tolerated():
    noise = Noise()
    noise.learn(body(load=1), body(load=2))

    (load,) = differences(body(load=1), body(load=3), body(load=1))
    (status,) = differences(body(), body(status="failed"), body())
    (wrong_type,) = differences(body(load=1), body(load="1"), body(load=1))

    assert noise.allows(load)
    assert not noise.allows(status)
    assert not noise.allows(wrong_type)
    assert (status.path, status.legacy, status.new) == ("[r].status", '"idle"', '"failed"')


def test_a_robot_that_moves_between_two_answers_is_no_difference():
    assert differences(body(status="idle"), body(status="deploying"), body(status="deploying")) == []


def test_clocks_have_bounds_and_rows_find_each_other_by_their_ids():
    later = body(last_seen="2026-11-24T09:00:01.500000")
    two = [*body(), {"robot_id": "s", "status": "idle"}]

    assert differences(body(), later, body()) == []
    assert differences(two, two[::-1], two) == []
    assert differences(body(), body(last_seen="2026-11-24T09:00:09.000000"), body())
    assert {one.path for one in differences(two, body(), two)} == {"[s]{}", "[s].robot_id", "[s].status"}


def test_calls_on_live_systems_have_no_effects():
    drawn = list(calls.without_effects([row("a/b"), row("r"), row(None)], [{"id": "dep_1"}], 400, seed=1))

    assert {call.method for call in drawn} == {"GET"}
    assert not any("check-update" in call.path or "teleoperation" in call.path for call in drawn)
    assert drawn == list(calls.without_effects([row("a/b"), row("r"), row(None)], [{"id": "dep_1"}], 400, seed=1))
    assert "/api/robots/a%2Fb" in {call.path for call in drawn}


def deployments(*versions):
    said = {"status": "ready", "target_group": "all", "checksum": "0" * 64, "package_size": 3, "auto_rollback": True}
    return [
        {
            "id": f"dep_{n:012x}",
            "version": v,
            "timestamp": f"2026-11-2{n}T09:00:00",
            "package_path": f"/x/{n}.tar.gz",
            **said,
        }
        for n, v in enumerate(versions)
    ]


def test_equal_systems_answer_alike_and_the_report_stands_by_itself(two_systems: TwoSystems, tmp_path, capsys):
    rows = [row(f"Lekiwi_{n}", seconds_ago=5) for n in range(20)]
    two_systems.hold(rows, rows[::-1], deployments("v1", "v2"))
    report, figures = tmp_path / "ab.html", tmp_path / "ab.json"
    before = _held_by(two_systems.legacy)

    with pytest.raises(CommandError, match="inconclusive") as ended:
        call_command(
            "ab_test", iterations=400, report=report, json=figures, legacy=two_systems.legacy, new=two_systems.new
        )

    assert ended.value.returncode == 3
    assert "no scratch copy of legacy: give --scratch-legacy URL" in capsys.readouterr().out
    told = json.loads(figures.read_text())
    live = told["parts"][0]
    assert (live["verdict"], live["calls"], live["different"], live["failures"]) == ("pass", 400, [], [])
    assert _held_by(two_systems.legacy) == before
    page = report.read_text()
    assert page.count("<polyline") == 4
    assert not re.search(r"(src|href)=|@import|url\(|<script", page)
    assert "NaN" not in page


def test_wrong_answers_fail_by_call_and_field(two_systems: TwoSystems, tmp_path, capsys):
    rows = [row(f"Lekiwi_{n}", seconds_ago=5) for n in range(5)]
    two_systems.hold(rows, [*rows[:3], row("Lekiwi_3", seconds_ago=5, status="failed")])
    figures = tmp_path / "ab.json"

    with pytest.raises(CommandError, match="do not answer alike"):
        call_command("ab_test", iterations=60, json=figures, legacy=two_systems.legacy, new=two_systems.new)

    live = json.loads(figures.read_text())["parts"][0]
    assert {"[Lekiwi_3].status", ".status"} <= {one["path"] for one in live["different"]}
    assert any("legacy (200, 'application/json'), new (404" in failure for failure in live["failures"])


def test_calls_with_effects_run_against_scratch_copies(two_systems: TwoSystems):
    two_systems.hold([], [], deployments("v1", "v2"))

    result = testing.run(
        two_systems.legacy, two_systems.new, iterations=20, scratch=Scratch(two_systems.legacy, two_systems.new)
    )

    changing = result.parts[1]
    assert changing.verdict is Verdict.PASS, (changing.failures, changing.different)
    assert changing.calls > 100
    assert {"heartbeat", "update check", "rollback to a version"} <= set(changing.new)
    assert "ab-test-0" in _held_by(two_systems.new)["robots"]
    assert result.latency.verdict is Verdict.INCONCLUSIVE, "20 calls tell nothing about p99"


def test_a_live_system_is_no_scratch_copy_by_whatever_name(two_systems: TwoSystems):
    other_name = two_systems.legacy.replace("127.0.0.1", "localhost")

    with pytest.raises(CommandError, match="is a live system"):
        call_command("ab_test", legacy=two_systems.legacy, new=two_systems.new, scratch_legacy=other_name)


def test_a_command_that_starts_no_copy_says_so(two_systems: TwoSystems, settings):
    settings.SCRATCH_LEGACY_COMMAND = settings.SCRATCH_NEW_COMMAND = f"{sys.executable} -c print('nothing')"

    with pytest.raises(CommandError, match="did not say where it listens, but"):
        call_command("ab_test", iterations=1, legacy=two_systems.legacy, new=two_systems.new)


@pytest.mark.timeout(180)  # three processes start, one makes a database
def test_scratch_copies_are_started_by_their_commands_compared_and_leave_nothing(
    two_systems: TwoSystems, settings, tmp_path
):
    legacy = [sys.executable, "-m", "simulator.legacy", "--port", "0", "--look-seconds", "0"]
    legacy += ["--deployments", str(tmp_path / "deployments.json"), "--packages", str(tmp_path)]
    settings.SCRATCH_LEGACY_COMMAND = shlex.join(legacy)
    settings.SCRATCH_NEW_COMMAND = shlex.join([sys.executable, "-m", "embedded.scratch"])
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        names = "SELECT datname FROM pg_database WHERE datname LIKE 'scratch%'"
        before = server.execute(names).fetchall()

        result = testing.run(two_systems.legacy, two_systems.new, iterations=1, scratch=Scratch())

        changing = result.parts[1]
        assert changing.verdict is Verdict.PASS, (changing.not_run, changing.failures, changing.different)
        assert changing.calls > 100
        assert server.execute(names).fetchall() == before


def _held_by(url):
    state = httpx.get(f"{url}/_sim/state").json()
    return {name: state[name] for name in ("robots", "deployments")}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"iterations": 0}, "ask at least one call"),
        ({"report": "/nowhere/at/all.html"}, "cannot be written"),
        ({"legacy": "https//x"}, "is no address of legacy"),
    ],
)
def test_a_wrong_argument_is_one_sentence(options, sentence, tmp_path):
    if "report" in options:
        options["report"] = Path(options["report"])
    with pytest.raises(CommandError, match=sentence):
        call_command("ab_test", **options)
