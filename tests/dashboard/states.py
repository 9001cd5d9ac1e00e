"""A migration in the middle of its canary, as `migration.status.status` tells it, to be rendered."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

AT = datetime(2026, 11, 24, 3, 12, 44, tzinfo=UTC)


def _ago(**spans: float) -> str:
    return (AT - timedelta(**spans)).isoformat()


_ROLES = (
    ("migration_lead", "ML", "Migration lead"),
    ("infrastructure", "IN", "Infrastructure"),
    ("backend", "BE", "Backend"),
    ("monitoring", "MO", "Monitoring"),
    ("qa", "QA", "QA"),
    ("on_call", "OC", "On-call"),
)
_PHASES = (
    ("preparation", "Preparation", 0),
    ("shadow", "Parallel deployment", 0),
    ("canary_10", "Canary 10 %", 10),
    ("rollout_25", "Rollout 25 %", 25),
    ("rollout_50", "Rollout 50 %", 50),
    ("full_100", "Full 100 %", 100),
    ("decommission", "Decommission", 100),
)


def canary(**changes: Any) -> dict[str, Any]:
    """The state at `AT`; `changes` replace members of it."""
    return {**deepcopy(_CANARY), **changes}


def _vote(role: str, label: str, title: str) -> dict[str, Any]:
    voted = role not in ("qa", "on_call")
    return {
        "role": role,
        "label": label,
        "title": title,
        "choice": "go" if voted else None,
        "person": role if voted else None,
        "comment": "Canary calm for five days." if role == "migration_lead" else "",
        "at": _ago(hours=2) if voted else None,
        "void": False,
    }


def _gate(name: str, verdict: str, sentence: str, evidence: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "verdict": verdict,
        "sentence": sentence,
        "since": _ago(hours=5),
        "judged_at": _ago(seconds=0.6),
        "evidence": evidence,
    }


_CANARY: dict[str, Any] = {
    "at": AT.isoformat(),
    "phase": {
        "number": 2,
        "slug": "canary_10",
        "name": "Canary 10 %",
        "percent": 10,
        "shadow": True,
        "run": 3,
        "started_at": _ago(days=4, hours=22),
        "ends_at": _ago(days=-2, hours=-2),
        "duration_seconds": 604800.0,
        "elapsed_seconds": 424800.0,
        "risk": "medium",
        "next": {"slug": "rollout_25", "name": "Rollout 25 %", "percent": 25, "shadow": True},
        "previous": {"slug": "shadow", "name": "Parallel deployment", "percent": 0, "shadow": True},
        "rollback_budget_seconds": 120.0,
        "build": "4f1c9e2",
        "time_scale": 1.0,
    },
    "phases": [
        {
            "number": number,
            "slug": slug,
            "name": name,
            "percent": percent,
            "state": "done" if number < 2 else "now" if number == 2 else "todo",
        }
        for number, (slug, name, percent) in enumerate(_PHASES)
    ],
    "split": {
        "asked": 10,
        "acknowledged": 10,
        "observed": 9.94,
        "version": 17,
        "proxies": [{"name": "front-a", "version": 17, "acknowledged": True, "reason": ""}],
        "acknowledged_count": 1,
        "in_line": True,
        "sentence": "asked, acknowledged and observed are in line",
    },
    "way": {
        "percent": 10,
        "has_arrived": True,
        "paused": None,
        "ramp": None,
        "steps": ["15 %", "20 %", "25 %"],
        "plan": [{"words": f"{percent} %", "percent": percent} for percent in (15, 20, 25)],
        "bake_seconds": 120.0,
        "two_people": False,
        "orders": [],
        "freezes": [],
        "frozen": [],
        "pins": [],
        "on_watch": ["oncall"],
        "shifts": [],
        "quorum": 4,
    },
    "latch": None,
    "shift": None,
    "last_shift": None,
    "next": {
        "sentence": "Next: Rollout 25 %. It waits for 2 things.",
        "may_advance": False,
        "reasons": [
            "Performance: 18 of 20 moved robots heard",
            "Consensus: 4 go, 0 no-go; QA and On-call have not voted",
        ],
    },
    "gates": [
        _gate("duration", "pass", "the phase's time passed 24 Nov 02:00:00 UTC", {"started_at": _ago(days=4)}),
        _gate("stability", "pass", "no critical alert for 1,800 s", {"pipeline": "waived"}),
        _gate(
            "performance",
            "inconclusive",
            "18 of 20 moved robots heard",
            {
                "owner": {"requests": 12345, "bad": 2},
                "silent_after_moving": [],
                "moved": 20,
                "heard": 18,
                "cpu_percent": 41.3,
                "memory_percent": None,
            },
        ),
        _gate("accuracy", "pass", "200 of 200 rows equal", {"rows": 200, "compared_at": _ago(seconds=4)}),
        _gate(
            "monitoring",
            "pass",
            "3 of 3 guards make progress",
            {"guards": [{"name": "watchdog", "age_seconds": 0.6, "limit_seconds": 5.0}]},
        ),
        _gate("consensus", "inconclusive", "4 go, 0 no-go; QA and On-call have not voted", {"votes": 4}),
    ],
    "votes": [_vote(*role) for role in _ROLES],
    "quorum": {"go": 4, "needed": 4},
    "systems": {
        "new": {"error_percent": 0.02, "p99_ms": 31.0, "requests": 1234, "window_seconds": 10.0},
        "legacy": {"error_percent": None, "p99_ms": None, "requests": 0, "window_seconds": 10.0},
    },
    "series": [
        {
            "at": _ago(seconds=5 * step),
            "new_error_percent": 0.02,
            "legacy_error_percent": 0.05 if step > 20 else None,
            "new_p99_ms": 31.0 + step % 5,
            "legacy_p99_ms": 74.0 + step % 9 if step > 20 else None,
        }
        for step in range(150, 0, -1)
    ],
    "mirror": {
        "to_new": {"primaries": 100000, "copies": 99996, "percent": 99.996},
        "to_legacy": {"primaries": 0, "copies": 0, "percent": None},
    },
    "guards": [
        {"name": "watchdog", "label": "Watchdog", "age_seconds": 0.6, "limit_seconds": 5.0, "ok": True},
        {"name": "route_agent", "label": "Route agent", "age_seconds": 0.4, "limit_seconds": 5.0, "ok": True},
        {"name": "worker", "label": "Worker", "age_seconds": None, "limit_seconds": 15.0, "ok": False},
    ],
    "unguarded": None,
    "alerts": [
        {"name": "lag", "severity": "warning", "sentence": "Sync lag new → legacy 4.1 s", "opened_at": _ago(minutes=3)}
    ],
    "worst": "warn",
    "legacy_lacks": [],
    "last_rollback": {
        "from": 10,
        "to": 0,
        "from_phase": "Canary 10 %",
        "to_phase": "Parallel deployment",
        "trigger": "automatic",
        "reason": "error rate of new 1.32 %, rule 1 %",
        "by": "watchdog",
        "seconds": 0.41,
        "budget_seconds": 120.0,
        "state": "observed",
        "late": [],
        "at": _ago(days=5),
    },
    "changes": [
        {"at": _ago(minutes=6), "who": "backend", "sentence": "voted go on leaving Canary 10 %"},
        {"at": _ago(days=4), "who": "lead", "sentence": "confirmed 0 → 10 % in 0.41 s"},
    ],
    "pipeline": "waived",
}
