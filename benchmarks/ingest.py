"""`python -m benchmarks.ingest`: how fast heartbeats are taken, durable, beside a no-op endpoint and a DRF view.

Everything runs on this machine at once: PostgreSQL (fsync and synchronous_commit on, its settings printed), one ingest
process, one gunicorn worker with the DRF view, the load (`benchmarks.ingest_world`). Rounds are interleaved; figures
are medians.
"""

import importlib.util
import statistics
import sys
import tempfile
from array import array
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import reporting
from benchmarks.bodies import boot_id
from benchmarks.ingest_world import ROBOTS, WAL_SETTINGS, Setup, running
from benchmarks.load import Result

#: single heartbeats a second while backlogs come
SINGLES_BESIDE_BATCHES = 1_000
KINDS = ("noop", "v2", "legacy", "batch", "websocket", "envoy", "drf")


def missing(setup: Setup) -> tuple[int, int]:
    """How many heartbeats were acknowledged by number, and how many of those the log does not have."""
    numbers = array("Q")
    numbers.frombytes(setup.acknowledged.read_bytes())
    acknowledged = {(numbers[place], numbers[place + 1]) for place in range(0, len(numbers), 2)}
    robots = {boot_id(number): number for number in range(ROBOTS)}
    with psycopg.connect(setup.postgres.url) as connection:
        rows = connection.execute(
            "SELECT b.boot_id, h.sequence FROM heartbeat_heartbeat h JOIN heartbeat_boot b ON b.id = h.boot_id"
        )
        stored = {(robots[boot], sequence) for boot, sequence in rows}
    return len(acknowledged), len(acknowledged - stored)


def bytes_per_heartbeat(database_url: str) -> float:
    """Size of the log with its indexes, by the number of its rows."""
    sizes = """
        SELECT sum(pg_total_relation_size(inhrelid)) / (SELECT count(*) FROM heartbeat_heartbeat)
        FROM pg_inherits WHERE inhparent = 'heartbeat_heartbeat'::regclass AND pg_relation_size(inhrelid) > 0
    """
    with psycopg.connect(database_url) as connection:
        row = connection.execute(sizes).fetchone()
    return float(row[0]) if row else 0.0


def settings(database_url: str) -> str:
    """What makes commits durable and dear; how many checkpoints there were, and how often the log was vacuumed."""
    names = ("fsync", "synchronous_commit", "full_page_writes", "wal_compression", "max_wal_size", "shared_buffers")
    with psycopg.connect(database_url) as connection:
        said = [f"{name} {connection.execute(f'SHOW {name}').fetchone()[0]}" for name in names]  # type: ignore[index]
        (made,) = connection.execute("SELECT num_timed + num_requested FROM pg_stat_checkpointer").fetchone()  # type: ignore[misc]
        (vacuums,) = connection.execute(
            "SELECT sum(autovacuum_count) FROM pg_stat_user_tables WHERE starts_with(relname, 'heartbeat_heartbeat')"
        ).fetchone()  # type: ignore[misc]
    return f"PostgreSQL: {', '.join(said)}; {made} checkpoints, {vacuums} vacuums of the log"


def main() -> int:
    """Run, print a table, write JSON."""
    parser = reporting.arguments("How fast heartbeats are taken, durable.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="of one round")
    parser.add_argument("--max-wal-size", help="PostgreSQL's; a small one brings checkpoints while it is measured")
    parser.add_argument("--only", default=",".join(KINDS), help="kinds of load, separated by commas")
    options = parser.parse_args()
    if importlib.util.find_spec("gunicorn") is None:
        parser.error("the DRF view is served by gunicorn, which `bin/test --help` installs with what tests need")
    kinds = options.only.split(",")
    wal = {"max_wal_size": options.max_wal_size} if options.max_wal_size else WAL_SETTINGS
    with tempfile.TemporaryDirectory() as directory, running(Path(directory), wal) as setup:
        setup.round("v2", options.seconds)  # every robot is met
        size = bytes_per_heartbeat(setup.postgres.url)
        rounds: dict[str, list[tuple[Result, float]]] = {kind: [] for kind in kinds}
        for _ in range(options.rounds):
            for kind in kinds:
                rounds[kind].append(setup.round(kind, options.seconds))
                result, cpu = rounds[kind][-1]
                print(f"  {kind:10} {result.per_second:9,.0f}/s  p99 {result.p99_ms:6.1f} ms  "
                      f"{1e6 * cpu / max(1, result.acknowledged):6.1f} s/M", flush=True)  # fmt: skip
        rates = {kind: statistics.median(one.per_second for one, _ in made) for kind, made in rounds.items()}
        calm = rates.get("v2", 0) / 2 or 1_000
        halves = [setup.round("v2", options.seconds, per_second=calm)[0] for _ in range(options.rounds)]
        singles, batches = setup.beside(options.seconds, min(calm, SINGLES_BESIDE_BATCHES))
        acknowledged, lost = missing(setup)
        commits = settings(setup.postgres.url)
    figures = _figures(rounds, rates)
    figures |= {
        "p99_ms_at_half": round(statistics.median(half.p99_ms for half in halves), 1),
        "half_per_s": round(statistics.median(half.per_second for half in halves)),
        **{"beside_p99_ms": round(singles.p99_ms, 1), "beside_single_per_s": round(singles.per_second)},
        "beside_batch_per_s": round(batches.per_second),
        **{"bytes_per_heartbeat": round(size, 1), "acknowledged": acknowledged, "missing": lost},
    }
    print(reporting.machine(), commits, sep="\n")
    print(reporting.table(_rows(rounds, rates)))
    print("\n".join(f"{name}: {value}" for name, value in figures.items()))
    reporting.write(figures, options.json)
    return 0 if lost == 0 else 1


def _figures(rounds: dict[str, list[tuple[Result, float]]], rates: dict[str, float]) -> dict[str, Any]:
    names = {"v2": "single", "websocket": "websocket"}
    figures: dict[str, Any] = {f"{names.get(kind, kind)}_per_s": round(rate) for kind, rate in rates.items()}
    for kind, key in (("v2", "ratio_to_drf"), ("legacy", "legacy_ratio_to_drf"), ("batch", "batch_ratio_to_drf")):
        if kind in rates and rates.get("drf"):
            figures[key] = round(rates[kind] / rates["drf"], 1)
    if "v2" in rates and rates.get("noop"):
        figures["ratio_to_noop"] = round(rates["v2"] / rates["noop"], 2)
    if "v2" in rounds:
        figures["cpu_s_per_million"] = round(_cpu_per_million(rounds["v2"]), 1)
    return figures


def _rows(rounds: dict[str, list[tuple[Result, float]]], rates: dict[str, float]) -> list[list[Any]]:
    rows: list[list[Any]] = [
        ["load", "heartbeats/s (median)", "rounds", "p50 / p99 ms", "CPU s a million", "refused", "failed"]
    ]
    for kind, made in rounds.items():
        results = [one for one, _ in made]
        middle = sorted(results, key=lambda one: one.per_second)[len(results) // 2]
        rows.append(
            [
                kind,
                f"{rates[kind]:,.0f}",
                " ".join(f"{one.per_second:,.0f}" for one in results),
                f"{middle.p50_ms:.1f} / {middle.p99_ms:.1f}",
                f"{_cpu_per_million(made):.1f}",
                sum(one.refused for one in results),
                sum(one.failed for one in results),
            ]
        )
    return rows


def _cpu_per_million(made: list[tuple[Result, float]]) -> float:
    return statistics.median(1e6 * cpu / max(1, one.acknowledged) for one, cpu in made)


if __name__ == "__main__":
    sys.exit(main())
