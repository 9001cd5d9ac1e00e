"""The report as text for a terminal, as JSON for a script, as one HTML file to keep."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.template.loader import render_to_string

Report = Mapping[str, Any]


def as_json(report: Report) -> str:
    """For scripts."""
    return json.dumps(report, indent=1, ensure_ascii=False)


def as_html(report: Report) -> str:
    """One file that needs nothing beside it."""
    return render_to_string("migration/report_file.html", {"report": report})


def as_text(report: Report) -> str:
    """For a terminal."""
    lines = [f"Migration report, {_when(report['at'])} UTC: {report['verdict']}", "", "Criteria"]
    for one in report["criteria"]:
        lines.append(f"  {one['verdict']:<13}{one['title']:<40}{one['figure']}  ({one['limit']})")
        if one["sentence"]:
            lines.append(f"{'':<15}{one['sentence']}")
    lines += ["", "Phases"]
    for run in report["phases"]:
        votes = sum(1 for vote in run["votes"] if vote["choice"] == "go")
        lines.append(
            f"  run {run['run']:<4}{run['name']:<24}{run['state']:<13}{run['seconds']:>12,.1f} s  "
            f"{votes} go of {len(run['votes'])} votes, from {_when(run['started_at'])}"
        )
    lines += ["", "Rollbacks"]
    for one in report["rollbacks"]:
        took = f"{one['seconds']:.2f} s" if one["seconds"] is not None else "not confirmed"
        lines.append(
            f"  {_when(one['at'])}  {one['from_percent']} → {one['to_percent']} %  {one['trigger']}, {one['state']}, "
            f"{took}: {one['reason']}"
        )
    if not report["rollbacks"]:
        lines.append("  none")
    return "\n".join(lines) + "\n"


def _when(text: str) -> str:
    return f"{datetime.fromisoformat(text):%d %b %Y %H:%M:%S}"


FORMATS: Mapping[str, Callable[[Report], str]] = {"text": as_text, "json": as_json, "html": as_html}
