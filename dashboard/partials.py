"""The shared regions of the page: rendered once for everybody, each from the template with its name."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from dashboard import presentation
from dashboard.evidence import LOOKS, evidence_lines
from dashboard.fleet import Mark
from dashboard.snapshot import Snapshot
from migration.rules.gates import ERROR_LIMIT, SLOW_MILLISECONDS
from migration.rules.gates import mirror as mirror_rule

#: ids in the page; `bar-phase` comes from `dashboard/_bar_phase.html`
REGIONS = (
    "bar-phase",
    "bar-split",
    "bar-alert",
    "unguarded-words",
    "latch-words",
    "shift-words",
    "next-words",
    "fleet-head",
    "fleet-chips",
    "fleet-ruler",
    "systems",
    "alerts",
    "guards",
    "road",
    "gates",
    "votes",
    "agree",
    "operation",
    "changes",
    "last-rollback",
)

#: those that every page has, and the parts of the data that go with them
BAR_REGIONS = ("bar-phase", "bar-split", "bar-alert", "unguarded-words")

#: what we ask of ourselves; the phase's budget is what an operator is promised
OUR_ROLLBACK_SECONDS = 1.0

_CHOICES = {"go": ("ok", "go"), "no_go": ("bad", "no-go"), "abstain": ("off", "abstain"), None: ("none", "not voted")}
_CHIPS = (
    (Mark.ONLINE, "ok"),
    (Mark.DRIVEN, "driven"),
    (Mark.LATE, "warn"),
    (Mark.SILENT, "bad silent"),
    (Mark.FAILED, "bad"),
    (Mark.NEVER, "none"),
)


@dataclass(frozen=True, slots=True)
class Screen:
    """What everybody sees at one moment: HTML by region, and the data that scripts draw."""

    at: str
    html: dict[str, str]
    data: dict[str, Any]


def screen(snapshot: Snapshot) -> Screen:
    """Render every shared region of the overview."""
    state, html = snapshot.status, _rendered(REGIONS, snapshot)
    data = {
        "series": state["series"],
        "limits": {"error_percent": 100 * ERROR_LIMIT, "p99_ms": SLOW_MILLISECONDS},
        "worst": state["worst"],
        "title": f"{presentation.asked_percent(state['split']['asked'])} · {state['phase']['name']}",
        "signatures": signatures(state),
    }
    return Screen(at=snapshot.at.isoformat(), html=html, data=data)


def bar(snapshot: Snapshot) -> Screen:
    """Render what every page has: the bar and the worst banner."""
    state = snapshot.status
    data = {"worst": state["worst"], "signatures": {"rollback": signatures(state)["rollback"]}}
    return Screen(at=snapshot.at.isoformat(), html=_rendered(BAR_REGIONS, snapshot), data=data)


def _rendered(regions: Sequence[str], snapshot: Snapshot) -> dict[str, str]:
    context = context_of(snapshot)
    return {region: rendered(region, context) for region in regions}


def rendered(region: str, context: dict[str, Any]) -> SafeString:
    """One region from its template."""
    # without the file's last line break, so that a banner with nothing to say is :empty
    return mark_safe(render_to_string(f"dashboard/_{region.replace('-', '_')}.html", context).strip())


def signatures(state: dict[str, Any]) -> dict[str, Any]:
    """What each personal region (its buttons) depends on: a page asks for it again when this changes."""
    phase, shift, latch = state["phase"], state["shift"], state["latch"]
    votes = [[vote["role"], vote["choice"], vote["void"]] for vote in state["votes"]]
    return {
        "advance": [phase["slug"], phase["started_at"], state["next"]["may_advance"]],
        "shift": [shift["id"], shift["state"]] if shift else None,
        "latch": latch["at"] if latch else None,
        "vote": [phase["slug"], phase["started_at"], votes],
        "rollback": [phase["slug"], phase["started_at"], bool(latch), state["legacy_lacks"]],
        "way": _way_signature(state["way"]),
    }


def _way_signature(way: dict[str, Any]) -> list[Any]:
    ramp = way["ramp"]
    orders = [one["id"] for one in way["orders"]]
    return [bool(way["paused"]), ramp["id"] if ramp else None, way["has_arrived"], orders]


def context_of(snapshot: Snapshot) -> dict[str, Any]:
    """The status with what the templates need beside it, so that they hold no number and no decision."""
    state, now, robots = snapshot.status, snapshot.at, snapshot.fleet
    phase, owners, marks = state["phase"], robots["owner"], robots["mark"]
    gates = [_gate(gate) for gate in state["gates"]]
    return {
        **state,
        "now": now,
        "phase_progress": presentation.progress(phase["elapsed_seconds"], phase["duration_seconds"]),
        "ruler": _ruler(state),
        "alarm": _alarm(state),
        "robots": robots["robots"],
        "on_new": owners.get("new", 0),
        "on_legacy": owners.get("legacy", 0),
        "unmarked": owners.get("", 0),
        "kinds": robots["kind"],
        "statuses": {status or "none reported": number for status, number in robots["status"].items()},
        "operations": {word or "nothing reported": number for word, number in robots["operation"].items()},
        "without_bucket": robots["without_bucket"],
        "chips": [{"mark": mark, "look": look, "count": marks.get(mark, 0)} for mark, look in _CHIPS],
        "gates": gates,
        "gates_open": sum(1 for gate in gates if gate["verdict"] in ("pass", "waived")),
        "newest_judgement": max((gate["judged_at"] for gate in state["gates"]), default=None),
        "reasons": _reasons(state, gates),
        "votes": [_vote(vote) for vote in state["votes"]],
        "mirrors": [_mirror(state, "to_new", "new"), _mirror(state, "to_legacy", "legacy")],
        "accuracy": next((gate for gate in gates if gate["name"] == "accuracy"), None),
        "compared": _systems(state),
        "road": [_milestone(place, state) for place in state["phases"]],
        "our_rollback_seconds": OUR_ROLLBACK_SECONDS,
        "rollback_scale": rollback_scale(state["last_rollback"]),
        "failed_shift": state["last_shift"] if (state["last_shift"] or {}).get("state") == "failed" else None,
    }


def context_of_buttons(state: dict[str, Any]) -> dict[str, Any]:
    """What the personal regions say beside the status."""
    gates = [_gate(gate) for gate in state["gates"]]
    return {**state, "reasons": _reasons(state, gates), "our_rollback_seconds": OUR_ROLLBACK_SECONDS}


def _reasons(state: dict[str, Any], gates: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"words": reason, "anchor": _anchor(reason, gates)} for reason in state["next"]["reasons"]]


def _ruler(state: dict[str, Any]) -> dict[str, Any]:
    split = state["split"]
    proxies = f"{split['acknowledged_count']}/{len(split['proxies'])}"
    told = (
        f"Split to new: asked {presentation.asked_percent(split['asked'])}, acknowledged "
        f"{presentation.asked_percent(split['acknowledged'])} by {proxies.replace('/', ' of ')} proxies, "
        f"observed {presentation.observed_percent(split['observed'])}"
    )
    return {"proxies": proxies, "told": told, "steps": sorted({place["percent"] for place in state["phases"]})}


def _alarm(state: dict[str, Any]) -> dict[str, Any]:
    """The worst thing in the bar: what locks or holds the migration first, then critical before warning."""
    ranked = sorted(state["alerts"], key=lambda alert: alert["severity"] != "critical")
    label = f"Worst alert · {len(ranked)} open" if ranked else "Worst alert"
    if state["unguarded"]:
        stuck = ", ".join(guard["label"].lower() for guard in state["guards"] if not guard["ok"])
        return {"label": label, "look": "bad", "words": f"Unguarded: {stuck or 'guards'} stuck", "loud": True}
    if state["latch"]:
        return {"label": label, "look": "bad", "words": f"Latched: {state['latch']['because']}", "loud": True}
    if ranked:
        look = "bad" if ranked[0]["severity"] == "critical" else "warn"
        return {"label": label, "look": look, "words": ranked[0]["sentence"], "loud": False}
    return {"label": label, "look": "ok", "words": "none open", "loud": False}


def _gate(gate: dict[str, Any]) -> dict[str, Any]:
    look = LOOKS.get(gate["verdict"], "none")
    return {**gate, "look": look, "lines": evidence_lines(gate["evidence"])}


def _anchor(reason: str, gates: list[dict[str, Any]]) -> str:
    """Where on the page a reason is explained."""
    label = reason.partition(":")[0]
    if label == "Consensus":
        return "votes-card"
    named = next((gate["name"] for gate in gates if gate["label"] == label), None)
    return f"gate-{named}" if named else "guards-card" if "no progress" in reason else "split-card"


def _vote(vote: dict[str, Any]) -> dict[str, Any]:
    look, said = _CHOICES[vote["choice"]]
    return {**vote, "look": "wait" if vote["void"] else look, "said": f"{said}, void" if vote["void"] else said}


def _mirror(state: dict[str, Any], direction: str, target: str) -> dict[str, Any]:
    mirror = state["mirror"][direction]
    judged = mirror_rule(target, mirror["primaries"], mirror["copies"])
    look = LOOKS[judged.verdict] if mirror["primaries"] else "wait"
    return {**mirror, "target": target, "look": look}


def _systems(state: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, **state["systems"][name]} for name in ("new", "legacy")]


def _milestone(place: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """One phase on the road, drawn 58 high: what it gives to `new` stands on the ground line at 68."""
    height = round(58 * place["percent"] / 100)
    done = 0
    if place["state"] == "now":
        done = round(100 * min(1.0, state["phase"]["elapsed_seconds"] / state["phase"]["duration_seconds"]))
    short = place["name"].split()[0]
    return {**place, "height": height, "top": 68 - height, "above": 58 - height, "done": done, "short": short}


def rollback_scale(rollback: dict[str, Any] | None) -> dict[str, float] | None:
    """Where the measured time, ours and the promise stand on a logarithmic scale from 0.1 s to 1,000 s, percent."""
    if rollback is None:
        return None

    def place(seconds: float) -> float:
        return round(min(100.0, max(0.0, 25 * log10(max(seconds, 0.01) / 0.1))), 1)

    scale = {"ours": place(OUR_ROLLBACK_SECONDS)}
    if rollback["seconds"] is not None:
        scale["measured"] = place(rollback["seconds"])
    if rollback["budget_seconds"]:
        scale["promised"] = place(rollback["budget_seconds"])
    return scale
