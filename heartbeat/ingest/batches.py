"""`POST /api/v2/heartbeats`: a backlog of one robot, each heartbeat with a result of its own."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec

from heartbeat.errors import NotRecorded, Unavailable
from heartbeat.ingest import schema
from heartbeat.ingest.access import OTHERS_TOKEN, Admitted, Refusal
from heartbeat.ingest.answers import Answer, Headers, invalid, problem, v2_refusal
from heartbeat.ingest.beat import Beat
from heartbeat.ingest.calls import Calls
from heartbeat.ingest.marks import Marks
from heartbeat.ingest.refusal import too_fast
from heartbeat.ingest.v2 import v2_beat
from heartbeat.ingest.waiting import Outcome
from heartbeat.metrics import REJECTED

MOST_HEARTBEATS = 10_000
LONGEST_BODY_BYTES = 32 * 2**20
#: what is read in one go, a few milliseconds' work: whoever sends one heartbeat waits that long
CHUNK = 250

_items_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode
_NOT_VALID = "The batch is not valid"


class Fault(msgspec.Struct):
    """What is wrong with one field."""

    field: str
    reason: str


class Item(msgspec.Struct, omit_defaults=True):
    """What became of one heartbeat of many."""

    status: Literal["accepted", "duplicate", "refused"]
    errors: list[Fault] = []


class Items(msgspec.Struct):
    """What became of each, in the order given."""

    accepted: int
    duplicates: int
    refused: int
    results: list[Item]


_ACCEPTED, _DUPLICATE = Item("accepted"), Item("duplicate")


class Batches:
    """Judges each heartbeat by itself, commits them in chunks, answers in the order given."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._reading = asyncio.Lock()

    async def answer(self, headers: Headers, body: bytes, marks: Marks) -> Answer:
        """200 with a result for each; 503 when some could not be stored now (sending all again does no harm)."""
        admitted = self._calls.access.admit(headers.get(b"authorization"))
        if isinstance(admitted, Refusal):
            return admitted.as_problem()
        wait = self._calls.access.allow(admitted.robot_key)
        if wait is not None:
            return too_fast(wait).as_problem()
        if len(body) > LONGEST_BODY_BYTES:
            return problem(413, "The batch is too large", f"{len(body)} bytes, at most {LONGEST_BODY_BYTES} are taken")
        try:
            items = _items(headers, body)
        except schema.Invalid as error:
            return invalid(_NOT_VALID, [{"field": error.field, "reason": error.reason}])
        try:
            results = await self._store(items, admitted, marks)
        except Unavailable as error:
            return v2_refusal(error)
        counts = Counter(one.status for one in results)
        return Answer(200, _encode(Items(counts["accepted"], counts["duplicate"], counts["refused"], results)))

    async def _store(self, items: Sequence[bytes], admitted: Admitted, marks: Marks) -> list[Item]:
        """Chunk by chunk, and one of all batches at a time, so that reading thousands keeps nobody else waiting."""
        chunks = []
        for start in range(0, len(items), CHUNK):
            async with self._reading:
                results, beats = _judged(items[start : start + CHUNK], admitted, marks)
                chunks.append((results, list(beats), asyncio.ensure_future(self._commit(list(beats.values())))))
                await asyncio.sleep(0)
        outcomes = await asyncio.gather(*[commit for _, _, commit in chunks], return_exceptions=True)
        for (results, places, _), stored in zip(chunks, outcomes, strict=True):
            if isinstance(stored, BaseException):
                raise stored
            for place, outcome in zip(places, stored, strict=True):
                if isinstance(outcome, NotRecorded):
                    results[place] = _refused("", str(outcome))
                elif outcome.duplicate:
                    results[place] = _DUPLICATE
        return [result for results, _, _ in chunks for result in results]

    async def _commit(self, beats: Sequence[Beat]) -> Sequence[Outcome | NotRecorded]:
        return await self._calls.recorder.record_backlog(beats) if beats else ()


def _refused(field: str, reason: str) -> Item:
    return Item("refused", [Fault(field, reason)])


def _items(headers: Headers, body: bytes) -> list[bytes]:
    """The texts of the heartbeats in an array or in lines."""
    kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    if kind in (b"application/x-ndjson", b"application/jsonl", b"application/ndjson"):
        items = [line for line in body.splitlines() if line.strip()]
    elif kind == b"application/json":
        try:
            items = list(map(bytes, _items_decoder.decode(body)))
        except msgspec.ValidationError as error:
            raise schema.Invalid("", "the body is no array of heartbeats") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise schema.Invalid("", f"the body is not valid JSON: {error}") from error
    else:
        raise schema.Invalid("content-type", "is application/json (an array) or application/x-ndjson (lines)")
    if len(items) > MOST_HEARTBEATS:
        raise schema.Invalid("", f"{len(items)} heartbeats, at most {MOST_HEARTBEATS} are taken")
    return items


def _judged(items: Sequence[bytes], admitted: Admitted, marks: Marks) -> tuple[list[Item], dict[int, Beat]]:
    """A result for each (accepted, unless the commit says otherwise), and the beats of the valid ones by place."""
    beats: dict[int, Beat] = {}
    results: list[Item] = []
    for place, item in enumerate(items):
        try:
            said = schema.decode(item)
            if said.boot_id is None or said.sequence is None:
                raise schema.Invalid("sequence", "a batch needs boot_id and sequence, so that it can be sent again")
            beat = v2_beat(said, len(item), marks)
        except schema.Invalid as error:
            REJECTED.labels("heartbeat", "invalid").inc()
            results.append(_refused(error.field, error.reason))
            continue
        if beat.robot_key != admitted.robot_key:
            results.append(_refused("robot_id", OTHERS_TOKEN.detail.removeprefix("robot_id: ")))
            continue
        beats[place] = beat
        results.append(_ACCEPTED)
    return results, beats
