"""Reading what the system answers. What is no acknowledgement of its own is none: a hotel's login page says 200 too."""

from typing import Any

from lekiwi_heartbeat.actions import Answer, Post


def results_of(post: Post, answer: Answer | None) -> list[dict[str, Any]] | None:
    """One result a heartbeat, or None when this acknowledges nothing."""
    if answer is None or answer.status != 200:
        return None
    match answer.content:
        case {"results": list(results)} if len(results) == len(post.beats) and all(map(_is_result, results)):
            return results
        case {"status": "accepted" | "duplicate"} as result if len(post.beats) == 1:
            return [result]
    return None


def taken_by_legacy(answer: Answer | None) -> bool:
    """Did legacy take the heartbeat?"""
    if answer is None or answer.status != 200 or not isinstance(answer.content, dict):
        return False
    return bool(answer.content.get("status") == "updated")


def errors_in(answer: Answer) -> list[Any]:
    """What a refusal says is wrong, by field."""
    content = answer.content if isinstance(answer.content, dict) else {}
    return content.get("errors") or [{"field": "", "reason": content.get("detail") or f"HTTP {answer.status}"}]


def seconds_in(value: object) -> float:
    """A number of seconds that makes sense, else 0."""
    return float(value) if isinstance(value, int | float) and 0 <= value <= 86_400 else 0.0


def retry_after_in(header: str | None) -> float | None:
    """`Retry-After` in seconds; a date there is read as no hint."""
    try:
        return seconds_in(float(header)) if header else None
    except ValueError:
        return None


def _is_result(result: object) -> bool:
    return isinstance(result, dict) and result.get("status") in ("accepted", "duplicate", "refused")
