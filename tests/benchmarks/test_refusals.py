import json
from pathlib import Path

from benchmarks.refusals import attribute


def test_a_failed_call_belongs_to_what_began_last_before_its_robot_knew(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    lines = [
        ["request", 1.0, 90.0, "a", "status", 200, "new", "id", 5.0],
        ["request", 1.0, 99.5, "a", "status", 504, None, "id", 1_200.0],  # left before the fault, failed by it
        ["request", 1.0, 101.0, "b", "check-update", "timeout", None, None, 6_000.0],
        ["request", 1.0, 101.0, "c", "status", "stopped", None, None, 10.0],
        ["said", 1.0, 101.0, "c", "boot", 1, "refused", None, 10.0],
        ["request", 1.0, 120.0, "a", "status", 503, None, "id", 3.0],
    ]
    ledger.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '["request", 1.0, 121')

    before, fault, after = attribute(ledger, [("hangs", 100.0), ("mended", 110.0)])

    assert (before.what, before.words) == ("", "")
    assert fault.words == ("1 × status 504, 1 × check-update timeout; 0.70 to 7.00 s in, after waiting 1.20 to 6.00 s")
    assert after.words == "1 × status 503; 10.00 to 10.00 s in, after waiting 0.00 to 0.00 s"
