"""Asking external checks about a step, side by side, each within its own time."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import structlog

from migration.clock import system_clock
from migration.drivers.envoy import side_by_side
from migration.models import HookAnswer, PhaseRun, TrafficShift
from migration.rules.sequential import Verdict
from migration.rules.settings import Hook, PhaseSettings
from migration.rules.step_gates import Answer

log = structlog.get_logger(__name__)

LONGEST_ANSWER_BYTES = 10_000
_VERDICTS = {Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE}


def consult(
    settings: PhaseSettings, moment: str, *, run: PhaseRun, step: Mapping[str, Any], shift: TrafficShift | None = None
) -> list[Answer]:
    """Ask every check that is configured for this moment of a step, and keep what each said.

    A check answers 200 with {"verdict": "pass" | "fail" | "inconclusive", "reason": "…"}. Whatever else it does (time
    out, refuse, speak otherwise) is inconclusive and says so.
    """
    hooks = [hook for hook in settings.hooks if moment in hook.when]
    told = {"moment": moment, "run": run.pk, "build": run.build, **step}
    found = side_by_side(lambda hook: _ask(hook, told), hooks)
    now = system_clock().now()
    answers = []
    for hook, (verdict, sentence, seconds) in zip(hooks, found, strict=True):
        HookAnswer.objects.create(
            run=run,
            shift=shift,
            name=hook.name,
            moment=moment,
            verdict=verdict,
            sentence=sentence,
            seconds=seconds,
            at=now,
        )
        log.info("hook.answered", hook=hook.name, moment=moment, verdict=verdict, seconds=round(seconds, 3))
        answers.append(Answer(hook.name, moment, verdict, sentence))
    return answers


def asked_before(run: PhaseRun, settings: PhaseSettings, moments: Sequence[str]) -> list[Answer]:
    """The latest answer of each configured check at each of these moments in this run."""
    wanted = {(hook.name, moment) for hook in settings.hooks for moment in hook.when if moment in moments}
    latest: dict[tuple[str, str], Answer] = {}
    for row in HookAnswer.objects.filter(run=run, moment__in=moments).order_by("id"):
        if (row.name, row.moment) in wanted:
            latest[row.name, row.moment] = Answer(row.name, row.moment, Verdict(row.verdict), row.sentence)
    return list(latest.values())


def _ask(hook: Hook, told: Mapping[str, Any]) -> tuple[Verdict, str, float]:
    began = time.monotonic()
    try:
        verdict, sentence = _read(hook, told, began)
    except httpx.HTTPError as error:
        verdict, sentence = Verdict.INCONCLUSIVE, f"no answer ({str(error) or type(error).__name__})"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        verdict, sentence = Verdict.INCONCLUSIVE, f"its answer makes no sense ({error!r})"
    return verdict, sentence[:500], time.monotonic() - began


def _read(hook: Hook, told: Mapping[str, Any], began: float) -> tuple[Verdict, str]:
    """Read the answer piece by piece: one that drips for ever is cut at the hook's time-out."""
    text = b""
    with httpx.stream("POST", hook.url, json=dict(told), timeout=hook.timeout_seconds) as answer:
        if answer.status_code != 200:
            return Verdict.INCONCLUSIVE, f"answered {answer.status_code}"
        for piece in answer.iter_bytes():
            text += piece
            if len(text) > LONGEST_ANSWER_BYTES:
                return Verdict.INCONCLUSIVE, f"answered more than {LONGEST_ANSWER_BYTES:,} bytes"
            if time.monotonic() - began > hook.timeout_seconds:
                return Verdict.INCONCLUSIVE, f"no whole answer within {hook.timeout_seconds:g} s"
    said = httpx.Response(200, content=text).json()
    verdict = Verdict(said["verdict"])
    if verdict not in _VERDICTS:
        raise ValueError(f"verdict {verdict}")
    return verdict, str(said.get("reason") or verdict)
