"""The fleet's ledger: counted as robots saw it, readable while it grows."""

from pathlib import Path

from simulator.ledger import (
    CHECK_UPDATE,
    STATUS,
    STOPPED,
    Exchange,
    LedgerReader,
    LedgerWriter,
    read_ledger,
    read_truths,
)


def exchange(outcome: int | str, answered_by: str | None = None, request_id: str | None = None) -> Exchange:
    return Exchange(12.5, 1_700_000_000.25, outcome, answered_by, request_id, 3.21)


def test_requests_are_counted_by_what_the_robot_saw(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path / "ledger")
    writer.request("r1", STATUS, exchange(200, "new", "id-1"))
    writer.request("r1", STATUS, exchange(200, "legacy", "id-2"))
    writer.request("r2", CHECK_UPDATE, exchange(200, "new", "id-3"))
    writer.request("r2", STATUS, exchange(500, "new", "id-4"))
    writer.request("r2", STATUS, exchange("timeout"))
    writer.request("r2", STATUS, exchange(STOPPED))
    writer.close()

    ledger = read_ledger(tmp_path / "ledger")

    assert (ledger.sent, ledger.acknowledged, ledger.failures) == (6, 3, 2)
    assert ledger.acknowledged_by_new == 2
    assert (
        ledger.heartbeats.sent,
        ledger.heartbeats.acknowledged_by_new,
        ledger.heartbeats.acknowledged_by_legacy,
    ) == (
        5,
        1,
        1,
    )
    assert ledger.heartbeats.failed_with == {"500": 1, "timeout": 1}
    assert ledger.request_ids("new") == {"id-1"}
    assert ledger.request_ids("new", CHECK_UPDATE) == {"id-3"}
    assert ledger.by_robot["r2"].failures == 2
    assert ledger.summary is None


def test_a_torn_last_line_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    writer = LedgerWriter(path)
    writer.request("r1", STATUS, exchange(200, "new", "id-1"))
    writer.request("r1", STATUS, exchange(200, "new", "id-2"))
    writer.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    reader = LedgerReader(path)

    assert reader.update().sent == 1

    path.write_bytes(whole)
    assert reader.update().sent == 2
    assert reader.update().request_ids("new") == {"id-1", "id-2"}
    assert reader.ledger.unreadable == 0


def test_a_new_fleet_appends_behind_a_killed_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text('["request",1.0,1.0,"r1","sta')
    writer = LedgerWriter(path)
    writer.request("r1", STATUS, exchange(200, "new", "id-1"))
    writer.summary({"requests": 1})
    writer.close()

    ledger = read_ledger(path)

    assert ledger.sent == 1
    assert ledger.unreadable == 1
    assert ledger.summary == {"requests": 1}


def test_truths_are_read_in_order(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path / "ledger")
    writer.truth("r1", "teleop", "driving")
    writer.request("r1", STATUS, exchange(200))
    writer.truth("r1", "battery_percent", 41.5)
    writer.close()

    told = [(robot, what, value) for _, robot, what, value in read_truths(tmp_path / "ledger")]

    assert told == [("r1", "teleop", "driving"), ("r1", "battery_percent", 41.5)]
