"""Why a caller is not let in, in both dialects."""

import json
import math
from dataclasses import dataclass

from heartbeat.ingest.answers import Answer, problem

_CHALLENGE = (b"www-authenticate", b'Bearer realm="robots"')


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status, why in a word (for counting) and in a sentence (for whoever reads the robot's log)."""

    status: int
    reason: str
    title: str
    detail: str
    retry_after_seconds: int | None = None

    def as_problem(self) -> Answer:
        """For a v2 call: RFC 9457 problem details."""
        return self._with_headers(problem(self.status, self.title, self.detail))

    def as_legacy(self) -> Answer:
        """For a legacy call: legacy's dialect."""
        return self._with_headers(Answer(self.status, json.dumps({"detail": self.detail}).encode()))

    def _with_headers(self, answer: Answer) -> Answer:
        if self.status == 401:
            answer.headers.append(_CHALLENGE)
        if self.retry_after_seconds is not None:
            answer.headers.append((b"retry-after", str(self.retry_after_seconds).encode()))
        return answer


NOT_LOADED = Refusal(503, "not_loaded", "Tokens cannot be checked now", "the tokens were not read yet", 1)
NO_TOKEN = Refusal(401, "no_token", "A token is needed", "send Authorization: Bearer with the robot's token (lkr_…)")
UNKNOWN_TOKEN = Refusal(401, "unknown_token", "The token is not valid", "no live token of a robot; it may have expired")
OTHERS_TOKEN = Refusal(
    403, "others_token", "The token is another robot's", "robot_id: a robot speaks only for itself, with its own token"
)
NOT_THE_DOOR = Refusal(
    403, "not_the_door", "Only through the door", "legacy calls are taken only from the robots' door; or speak v2"
)
TOKEN_NEEDED = Refusal(
    401, "token_needed", "A token is needed", "this robot has a token: send it as Authorization: Bearer, here too"
)


def too_fast(seconds: float) -> Refusal:
    """The robot called faster than its pace and may call again in `seconds`."""
    wait = max(1, math.ceil(seconds))
    return Refusal(429, "too_fast", "Too many calls", f"this robot calls too often; again in {wait} s", wait)


def closed(cohort: str) -> Refusal:
    """The legacy path is closed for robots `cohort` ("of kind xle")."""
    detail = f"the legacy path is closed for robots {cohort}: enrol (POST /api/v2/enrol) and speak v2"
    return Refusal(403, "closed", "The legacy path is closed", detail)
