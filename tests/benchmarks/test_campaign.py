"""What the fault campaign counts, and when it says that a fault did no harm."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.campaign import Cell, count, parse
from benchmarks.jumping_clock import set_ahead

STORED, UNKNOWN = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"


def request(outcome: int | str, by: str | None = "new", request_id: str | None = STORED) -> list[object]:
    return ["request", 1.0, 1.0, "Lekiwi_1", "status", outcome, by, request_id, 3.0]


def said(outcome: str, way: str | None) -> list[object]:
    return ["said", 1.0, 1.0, "Lekiwi_1", "boot", 7, outcome, way, 3.0]


@pytest.mark.parametrize(
    ("line", "calls", "failed", "legacy_alone"),
    [
        (request(200), 1, 0, 0),
        (request(503, None, None), 1, 1, 0),
        (request("timeout", None, None), 1, 1, 0),
        (request("stopped", None, None), 0, 0, 0),
        (request(200, "legacy", STORED), 1, 0, 0),
        (request(200, "legacy", UNKNOWN), 1, 0, 1),
        (said("acknowledged", "socket"), 1, 0, 0),
        (said("dropped", None), 1, 1, 0),
        (said("acknowledged", "legacy"), 0, 0, 0),
    ],
)
def test_each_line_of_the_ledger_is_counted_once(line, calls, failed, legacy_alone):
    cell = Cell("shadow", "new-down", 0.0)

    count(line, lambda at: cell, {STORED})

    assert (cell.calls, cell.failed, cell.legacy_alone) == (calls, failed, legacy_alone)
    assert sum(json.loads(json.dumps(asdict(cell)))["failures"].values()) == failed


@pytest.mark.parametrize(
    ("phase", "harm", "held"),
    [
        ("shadow", {}, True),
        ("shadow", {"lost": 1}, False),
        ("shadow", {"failed": 1}, False),
        ("shadow", {"whole_s": None}, False),
        ("preparation", {"failed": 1}, True),
        ("preparation", {"lost": 1}, False),
    ],
)
def test_a_fault_did_no_harm_only_if_nothing_is_lost_nobody_saw_it_and_all_is_whole(phase, harm, held):
    assert Cell(phase, "legacy-down", 0.0, **{"whole_s": 2.0, **harm}).is_held is held


def test_phases_and_faults_are_chosen_by_name():
    asked = parse(["--phases", "shadow", "--faults", "new-down", "redis-gone"])

    assert (asked.phases, asked.faults) == (["shadow"], ["new-down", "redis-gone"])


def test_a_clock_is_ahead_by_what_the_file_says(tmp_path: Path):
    (tmp_path / "telling.py").write_text(
        "import time\nfor _ in range(500):\n    if time.time() - time.clock_gettime(time.CLOCK_TAI) > 1800: break\n"
        "    time.sleep(0.01)\nelse:\n    raise SystemExit(1)\n"
    )
    set_ahead(tmp_path / "clock", 3600)

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.jumping_clock", str(tmp_path / "clock"), "telling"],
        env={"PYTHONPATH": f"{Path.cwd()}:{tmp_path}"},
        check=False,
    )

    assert done.returncode == 0
