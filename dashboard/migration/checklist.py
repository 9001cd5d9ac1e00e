"""The checklist before the migration: run checks, sign what only a person can know."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dashboard.access import needs, signed_in
from dashboard.forms import ReasonForm
from dashboard.migration.framing import done, framed, refused
from migration.actors import Actor
from migration.checklist import reading, running, signing
from migration.checklist.registry import refused_waivers
from migration.clock import system_clock
from migration.errors import Refused
from migration.rules.prechecks import count
from migration.rules.sequential import Verdict

PAGE, REGION = "dashboard/migration/checklist.html", "dashboard/migration/_checklist.html"
_LOOKS = {Verdict.PASS: "ok", Verdict.FAIL: "bad", Verdict.INCONCLUSIVE: "wait", Verdict.WAIVED: "off"}


@require_GET
@never_cache
@signed_in
def checklist(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    return framed(request, PAGE, "checklist", _context(request))


@require_GET
@never_cache
@signed_in
def points(request: HttpRequest) -> HttpResponse:
    """The list as it is now."""
    return render(request, REGION, _context(request))


@require_POST
@needs("run_checks")
def runs(request: HttpRequest) -> HttpResponse:
    """Have one check run, or all of them."""
    names = [name for name in [request.POST.get("name", "")] if name]
    try:
        run_here = running.ask(names, actor=Actor.of(request.user))
    except Refused as error:
        return refused(request, REGION, _context(request), "head", str(error))
    what = f"“{names[0]}”" if names else "all checks"
    where = "They have run here: no worker could be told." if run_here else "Results come in as they are found."
    return done(request, REGION, _context(request), f"Asked: {what}. {where}")


@require_POST
@needs("sign_off")
def signatures(request: HttpRequest, subject: str) -> HttpResponse:
    """Sign a point."""
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return refused(request, REGION, _context(request), subject, "Say what you have made sure of, in a few words.")
    try:
        signed = signing.sign(request.user, subject, form.cleaned_data["reason"])
    except Refused as error:
        return refused(request, REGION, _context(request), subject, str(error))
    return done(request, REGION, _context(request), f"Signed as {signing.SUBJECTS[signed.subject].role.words}.")


@require_POST
@needs("sign_off")
def withdrawals(request: HttpRequest, subject: str) -> HttpResponse:
    """Take a signature back."""
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return refused(request, REGION, _context(request), subject, "Say why, in a few words.")
    try:
        signing.withdraw(request.user, subject, form.cleaned_data["reason"])
    except Refused as error:
        return refused(request, REGION, _context(request), subject, str(error))
    return done(request, REGION, _context(request), "The signature is withdrawn.")


def _context(request: HttpRequest) -> dict[str, Any]:
    now = system_clock().now()
    found = reading.points(now)
    judgement, _ = reading.judge(now)
    checked = [_row(request, point) for point in found if not point.is_signed_by_hand]
    signed = [_row(request, point) for point in found if point.is_signed_by_hand]
    numbers = {verdict.value: number for verdict, number in count([point.judgement for point in found]).items()}
    return {
        "now": now,
        "judgement": judgement,
        "judgement_look": _LOOKS[judgement.verdict],
        "checked": checked,
        "signed": signed,
        "numbers": numbers,
        "hold": numbers["pass"],
        "whole": len(found),
        "checked_hold": sum(1 for row in checked if row["verdict"] == Verdict.PASS),
        "signed_hold": sum(1 for row in signed if row["verdict"] == Verdict.PASS),
        "open_signatures": sum(1 for row in signed if row["verdict"] != Verdict.PASS),
        "open_checks": sum(1 for row in checked if row["verdict"] == Verdict.INCONCLUSIVE),
        "refused_waivers": refused_waivers(),
        "may_run": request.user.has_perm("migration.run_checks"),
    }


def _row(request: HttpRequest, point: reading.Point) -> dict[str, Any]:
    row = {**reading.as_plain(point), "look": _LOOKS[point.verdict], "role_words": point.role.words}
    row["said"] = str(point.verdict)
    if point.is_signed_by_hand:
        subject = signing.SUBJECTS[point.name]
        is_signed = point.verdict is Verdict.PASS
        row["said"], row["look"] = ("signed", "ok") if is_signed else ("open", "none")
        row |= {"means": subject.means, "is_signed": is_signed, "mine": signing.may_sign(request.user, subject)[0]}
    return row
