"""The autopilot's report: what happened, and which claims held."""

from dataclasses import asdict, dataclass, field
from typing import Any

from simulator.autopilot.accounts import Accounts
from simulator.autopilot.claims import Claim
from simulator.autopilot.journey import Journey

EVERY_PHASE = ("preparation", "shadow", "canary_10", "rollout_25", "rollout_50", "full_100", "decommission")


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the run measured."""

    robots: int
    accounts: Accounts
    journey: Journey
    shifts: list[dict[str, Any]]
    rollbacks: list[dict[str, Any]]
    totals: dict[str, Any]
    #: what is wrong with the audit log; empty when nothing is
    audit: str = "it was not asked"
    rehearsals: list[dict[str, Any]] = field(default_factory=list)
    backups: list[dict[str, Any]] = field(default_factory=list)
    #: the migration's own report
    migration: dict[str, Any] = field(default_factory=dict)
    #: what the chapters on the way showed
    chapters: list[Claim] = field(default_factory=list)
    #: what stopped the journey before its end, if anything did
    stopped_by: str = ""
    #: share of the robots that were to speak v2
    v2_share: float = 0.0
    claims: list[Claim] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every claim held."""
        return bool(self.claims) and all(claim.held for claim in self.claims)

    def as_json(self) -> dict[str, Any]:
        """In the shape the README documents."""
        heartbeats = asdict(self.accounts)
        failures = heartbeats.pop("robot_failures")
        return {
            "ok": self.ok,
            "robots": self.robots,
            "robot_failures": failures,
            "heartbeats": heartbeats,
            "phases": [asdict(stay) for stay in self.journey.stays],
            "shifts": [
                {
                    "from": shift["from_percent"],
                    "to": shift["to_percent"],
                    "state": shift["state"],
                    "acknowledged_s": shift["acknowledged_seconds"],
                    "observed_s": shift["observed_seconds"],
                }
                for shift in self.shifts
            ],
            "rollbacks": [
                {
                    "from": rollback["from_percent"],
                    "to": rollback["to_percent"],
                    "trigger": rollback["trigger"],
                    "reason": rollback["reason"],
                    "seconds": rollback["seconds"],
                    "budget_seconds": rollback["budget_seconds"],
                }
                for rollback in self.rollbacks
            ],
            "rehearsals": [
                {name: one.get(name) for name in ("at", "began_at", "state", "seconds", "robot_id")}
                for one in self.rehearsals
            ],
            "backups": [{name: one[name] for name in ("kind", "state", "rows", "size_bytes")} for one in self.backups],
            "criteria": self.migration.get("criteria", []),
            "failovers": self.totals.get("failovers"),
            "mirror": {
                direction: {
                    "primaries": self.totals.get(f"mirror.{direction}.primaries"),
                    "copies": self.totals.get(f"mirror.{direction}.copies"),
                }
                for direction in ("to_legacy", "to_new")
            },
            "claims": [asdict(claim) for claim in self.claims],
            "stopped_by": self.stopped_by,
        }


def judge(report: Report) -> Report:
    """The same report with its claims judged."""
    accounts, stays = report.accounts, [stay.slug for stay in report.journey.stays]
    outside = accounts.not_heard_by_new - accounts.not_heard_in_outage
    unobserved = [shift for shift in report.shifts if shift["state"] != "observed"]
    slow = [rollback for rollback in report.rollbacks if rollback["seconds"] is None or rollback["seconds"] > 1.0]
    unproven = [one["state"] for one in report.backups if one["state"] not in ("verified", "removed")]
    criteria = report.migration.get("criteria", [])
    # The failure of `new` that the flight injects stays in the figures of errors, copies and latency.
    felt = [one for one in criteria if one["name"] in ("downtime", "robots", "teleop")]
    failed = [one["title"] for one in felt if one["verdict"] == "fail"]
    claims = [
        Claim("the journey reached its end", not report.stopped_by, report.stopped_by or "it did"),
        Claim("every phase was entered", all(slug in stays for slug in EVERY_PHASE), ", ".join(stays)),
        Claim("no robot saw a request fail", accounts.robot_failures == 0, f"{accounts.robot_failures} failed"),
        Claim(
            "heartbeats were sent and acknowledged by both systems",
            0 < accounts.acknowledged_by_new < accounts.acknowledged,
            f"{accounts.acknowledged_by_new:,} of {accounts.acknowledged:,} by new",
        ),
        Claim("no acknowledged heartbeat is missing", accounts.missing == 0, f"{accounts.missing} missing"),
        Claim(
            "no acknowledged v2 heartbeat is missing",
            accounts.v2_missing == 0,
            f"{accounts.v2_missing} of {accounts.v2_acknowledged_by_new:,} missing",
        ),
        Claim(
            "v2 robots were heard by new over v2, if there are any",
            accounts.v2_acknowledged_by_new > 0 or not round(report.v2_share * report.robots),
            f"{accounts.v2_acknowledged_by_new:,} of {accounts.v2_said:,} heartbeats",
        ),
        Claim("new heard what legacy acknowledged, but for its own outage", outside == 0, f"{outside} not heard"),
        Claim("every shift was observed", bool(report.shifts) and not unobserved, f"{len(unobserved)} were not"),
        Claim("every rollback took under a second", bool(report.rollbacks) and not slow, f"{len(slow)} were slower"),
        Claim("the audit log is whole up to its anchor", not report.audit, report.audit or "it is"),
        Claim("the way back was rehearsed", bool(report.rehearsals), f"{len(report.rehearsals)} rehearsals"),
        Claim(
            "every backup was restored and compared, and legacy's last state archived",
            any(one["kind"] == "legacy" for one in report.backups) and not unproven,
            f"{len(report.backups)} backups{', ' + ', '.join(unproven) if unproven else ''}",
        ),
        Claim(
            "the migration's report says what robots felt",
            len(felt) == 3 and not failed,
            "; ".join(f"{one['title']}: {one['figure']}" for one in felt),
        ),
        Claim("the failed phase was tried again", stays.count("canary_10") >= 2, f"{stays.count('canary_10')} stays"),
        *report.chapters,
    ]
    return Report(**{**{name: getattr(report, name) for name in report.__slots__}, "claims": claims})
