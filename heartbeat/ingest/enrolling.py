"""`POST /api/v2/enrol`: a robot gets a token of its own for a fleet's enrolment token."""

from typing import Annotated

import msgspec
import structlog
from msgspec import Meta, Struct

from heartbeat.access.metrics import ENROLMENTS
from heartbeat.access.minting import mint
from heartbeat.access.statements import ENROL_TYPES, entry_of, numbered
from heartbeat.errors import Unavailable
from heartbeat.ingest.access import Access
from heartbeat.ingest.answers import Answer, problem, v2_refusal
from heartbeat.ingest.database import Database
from heartbeat.ingest.faults import field_and_reason
from heartbeat.ingest.marks import Marks
from heartbeat.ingest.refusal import Refusal, too_fast
from heartbeat.ingest.register import NEVER, Admitted, Live
from heartbeat.rules.identity import LONGEST_BUCKETED_ID, why_no_bucket
from heartbeat.rules.kind import kind_from_word
from heartbeat.rules.tags import MOST_TAGS, why_no_tag
from heartbeat.rules.tokens import Sort, bearer_in, digest_of

log = structlog.get_logger(__name__)

LONGEST_BODY_BYTES = 4_096

_ENROL = numbered("heartbeat_enrol", ENROL_TYPES)
_NO_TOKEN = Refusal(
    401, "no_token", "An enrolment token is needed", "send Authorization: Bearer with an enrolment token (lke_…)"
)
_REFUSED = {
    "unknown_token": Refusal(
        401, "unknown_token", "The enrolment token is not valid", "no live enrolment token; it may have expired"
    ),
    "used_up": Refusal(403, "used_up", "The enrolment token is used up", "every use of it was taken: ask for another"),
    "has_token": Refusal(
        409,
        "has_token",
        "The robot has a token",
        "robot_id: this robot has a token; an operator can rotate it, or revoke it so that it may enrol again",
    ),
}


class Enrolment(Struct, forbid_unknown_fields=True):
    """The body. What the enrolment token says of kind and site wins; its tags are added."""

    robot_id: Annotated[str, Meta(min_length=1, max_length=LONGEST_BUCKETED_ID)]
    kind: Annotated[str, Meta(max_length=64)] = ""
    site: Annotated[str, Meta(max_length=64)] = ""
    tags: Annotated[list[str], Meta(max_length=MOST_TAGS)] = []


class Invalid(Exception):
    """A body that is refused: which field, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


_decoder = msgspec.json.Decoder(Enrolment)


class Enrolling:
    """Answers enrolments through `database`, and lets `access` know new tokens at once."""

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def answer(self, body: bytes, authorization: bytes | None, marks: Marks) -> Answer:
        """201 with the robot's token, which is shown this once; else a problem."""
        presented = bearer_in(authorization)
        if presented is None or not presented.startswith(Sort.ENROLMENT.encode()):
            return _refused(_NO_TOKEN)
        # Before the database is asked: an address has a pace, as a robot has.
        if (wait := self._access.allow(b"enrol " + marks.address.encode())) is not None:
            return _refused(too_fast(wait))
        try:
            asked = decode(body)
        except Invalid as error:
            ENROLMENTS.labels("invalid").inc()
            errors = [{"field": error.field, "reason": error.reason}]
            return problem(422, "The enrolment is not valid", str(error), errors=errors)
        try:
            return await self._enrol(asked, presented)
        except Unavailable as error:
            ENROLMENTS.labels("unavailable").inc()
            return v2_refusal(error)

    async def _enrol(self, asked: Enrolment, presented: bytes) -> Answer:
        token, digest, prefix = mint(Sort.ROBOT)
        robot = entry_of(asked.robot_id, asked.kind, asked.site, asked.tags)
        (row,) = await self._database.fetch(_ENROL, digest_of(presented), *robot, digest, prefix)
        if row["outcome"] != "enrolled":
            return _refused(_REFUSED[row["outcome"]])
        ENROLMENTS.labels("enrolled").inc()
        # Its fingerprint comes with the database's notice; the robot may speak before that.
        self._access.remember(Live(Admitted(robot.key, robot.robot_id, row["token_id"]), digest, NEVER, 0))
        log.info("robot.enrolled", robot=robot.robot_id, token=prefix)
        said = msgspec.json.encode({"robot_id": asked.robot_id, "token": token})
        return Answer(201, said, headers=[(b"cache-control", b"no-store")])


def decode(body: bytes) -> Enrolment:
    """Parse and validate a body. Raises Invalid, which names the field."""
    if len(body) > LONGEST_BODY_BYTES:
        raise Invalid("", f"the body has {len(body)} bytes, at most {LONGEST_BODY_BYTES} are taken")
    try:
        asked = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Invalid(*field_and_reason(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("", f"the body is not valid JSON: {error}") from error
    if reason := why_no_bucket(asked.robot_id):
        raise Invalid("robot_id", reason)
    if asked.kind and not kind_from_word(asked.kind):
        raise Invalid("kind", f"{asked.kind!r} tells no kind: lekiwi or xle")
    if "\x00" in asked.site:
        raise Invalid("site", "contains U+0000, which cannot be stored")
    for place, tag in enumerate(asked.tags):
        if reason := why_no_tag(tag):
            raise Invalid(f"tags[{place}]", reason)
    return asked


def _refused(refusal: Refusal) -> Answer:
    ENROLMENTS.labels(refusal.reason).inc()
    return refusal.as_problem()
