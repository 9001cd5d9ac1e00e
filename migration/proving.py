"""What one part of the migration proves for another: the last phase's evidence, and the report's stated criteria."""

from datetime import datetime

from migration import evidence
from migration.clock import system_clock
from migration.models import PhaseRun, SyncState
from migration.rules.gates import Proof
from migration.rules.phases import PHASES
from migration.rules.sequential import Verdict

LAST = PHASES[-1].slug
#: the criteria of success that end a migration in any case: what a robot would have felt
PROMISED = ("downtime", "robots", "teleop")


def connect() -> None:
    """Let the gates and the report ask. Called once, when Django is ready."""
    from migration.reporting import stated

    evidence.supply("warm_since", warm_since)
    evidence.supply("report", success_report)
    stated.register("teleop", operation_is_accurate)
    stated.register("team_trained", team_is_trained)
    stated.register("decommissioned", legacy_is_decommissioned)


def warm_since() -> datetime | None:
    """Since when legacy is warm: since the last phase began, or since legacy lost its memory in it."""
    run = _last_run()
    if run is None:
        return None
    state = SyncState.objects.first()
    if state is None or state.legacy_silent_since is not None:
        return None
    lost = state.lost_memory_at
    return max(run.started_at, lost) if lost else run.started_at


def success_report() -> Proof | None:
    """Whether robots got what they were promised, as of now; what else failed or lacks evidence is named.

    A canary that was rolled back leaves its errors and missed copies in the figures of the whole migration for good:
    they were judged by that phase's own gates, and would keep legacy on for ever here.
    """
    from migration.reporting.report import criteria

    if _last_run() is None:
        return None
    judged = criteria()
    broken = [one.title for one in judged if one.name in PROMISED and one.verdict is Verdict.FAIL]
    if broken:
        return Proof(False, f"failed: {', '.join(broken)}")
    named = {
        word: [one.title for one in judged if one.verdict is verdict]
        for word, verdict in (
            ("failed", Verdict.FAIL),
            ("inconclusive", Verdict.INCONCLUSIVE),
            ("waived", Verdict.WAIVED),
        )
    }
    told = "".join(f"; {word}: {', '.join(titles)}" for word, titles in named.items() if titles)
    held = sum(one.verdict is Verdict.PASS for one in judged)
    return Proof(True, f"{held} of {len(judged)} criteria held{told}", system_clock().now())


def operation_is_accurate() -> tuple[bool, str] | None:
    """For the report: every robot that tells of operation is recorded as it says."""
    from teleop.accuracy import accuracy

    found = accuracy(system_clock().now())
    if found.percent is None:
        return None
    return found.agreeing == found.judged, f"{found.percent:.2f} % of {found.judged:,} robots"


def team_is_trained() -> tuple[bool, str] | None:
    """For the report: the signature of the checklist."""
    from migration.checklist.signing import signatures

    signed = signatures().get("training")
    if signed is None or signed.is_void:
        return None
    return True, f"signed by {signed.person} at {signed.at:%Y-%m-%d %H:%M} UTC"


def legacy_is_decommissioned() -> tuple[bool, str] | None:
    """For the report: the last phase was entered and legacy's last state is archived and was read back."""
    from migration.backups import legacy_archive

    run = _last_run()
    archive = legacy_archive(run.started_at) if run else None
    return None if archive is None else (True, f"archived at {archive.begun_at:%Y-%m-%d %H:%M} UTC and read back")


def _last_run() -> PhaseRun | None:
    return PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE, slug=LAST).first()
