"""v2 heartbeats that arrive close together."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import msgspec
import pytest

from heartbeat.ingest import schema
from heartbeat.ingest.access import Access, Admitted
from heartbeat.ingest.marks import marks_of
from heartbeat.ingest.recorder import Recorder
from heartbeat.ingest.turns import AT_ONCE, LONGEST_SECONDS, Arrival, Turn
from heartbeat.rules.identity import key_of
from heartbeat.rules.pace import Pace

LOCK = "LOCK TABLE heartbeat_robot IN EXCLUSIVE MODE"


class Told(Arrival):
    """One that remembers what it was told."""

    __slots__ = ("answer", "answered", "was_read")

    def __init__(self, robot: str, token_of: str = "", breaks: bool = False, **fields: object) -> None:
        text = msgspec.json.encode({"robot_id": robot, "boot_id": "b", "sequence": 1, **fields})
        owner = token_of or robot
        super().__init__(b"broken" if breaks else text, Admitted(key_of(owner), owner, 1), marks_of({}), None)
        self.answer = ""
        self.was_read = False
        self.answered = asyncio.Event()

    def read(self) -> schema.Heard | None:
        self.was_read = True
        if self.text == b"broken":
            raise RuntimeError("a fault of ours")
        return super().read()

    def _tell(self, answer: str) -> None:
        self.answer = answer
        self.answered.set()

    def refuse_invalid(self, error: schema.Invalid) -> None:
        self._tell(f"invalid {error.field}")

    def refuse_as_others(self) -> None:
        self._tell("another's")

    def ask_to_wait(self, seconds: float) -> None:
        self._tell("too fast")

    def fail(self) -> None:
        self._tell("failed")

    def done(self, outcomes: object) -> None:
        self._tell("refused" if isinstance(outcomes, Exception) else "stored")


@pytest.fixture
async def recorder(dsn: str) -> AsyncIterator[Recorder]:
    recorder = Recorder(dsn, commit_timeout_seconds=20)
    recorder.start()
    await recorder.wait_for_first_connection(20)
    yield recorder
    await recorder.close()


@pytest.fixture
def turn(recorder: Recorder, dsn: str) -> Turn:
    return Turn(recorder, Access(dsn, pace=Pace(per_second=1, burst=2)))


async def answers(arrivals: list[Told]) -> list[str]:
    await asyncio.gather(*[asyncio.wait_for(one.answered.wait(), 20) for one in arrivals])
    return [one.answer for one in arrivals]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.001)


async def test_each_of_those_that_arrive_together_is_judged_by_itself(turn: Turn) -> None:
    arrivals = [
        Told("a"),
        Told("b", battery_percent=101),
        Told("c", token_of="a"),
        Told("d", breaks=True),
        *(Told("e", sequence=number) for number in range(1, 4)),
        Told("f"),
    ]
    for one in arrivals:
        turn.add(one)

    assert await answers(arrivals) == [
        *("stored", "invalid battery_percent", "another's", "failed"),
        *("stored", "stored", "too fast"),
        "stored",
    ]


async def test_those_that_arrive_while_a_commit_is_under_way_share_the_next_one(
    turn: Turn, recorder: Recorder, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heartbeat.ingest.turns.LONGEST_SECONDS", 20)
    known = [Told("a"), *(Told(f"r{number}") for number in range(5))]
    for one in known:
        turn.add(one)
    await answers(known)
    holding = await asyncpg.connect(dsn)
    async with holding.transaction():
        await holding.execute(LOCK)
        turn.add(first := Told("a", sequence=2))
        await until(lambda: recorder.is_writing)
        meanwhile = [Told(f"r{number}", sequence=2) for number in range(5)]
        for one in meanwhile:
            turn.add(one)
        await asyncio.sleep(0)
        assert not any(one.was_read for one in meanwhile)

    assert await answers([first, *meanwhile]) == ["stored"] * 6
    rows = await holding.fetch("SELECT xmin::text FROM heartbeat_heartbeat WHERE sequence = 2 ORDER BY received_at")
    await holding.close()
    transactions = [row["xmin"] for row in rows]
    assert len(set(transactions)) == 2
    assert len(set(transactions[1:])) == 1


async def test_nobody_waits_long_for_others_while_a_commit_hangs(turn: Turn, recorder: Recorder, dsn: str) -> None:
    holding = await asyncpg.connect(dsn)
    async with holding.transaction():
        await holding.execute(LOCK)
        turn.add(Told("a"))
        await until(lambda: recorder.is_writing)
        turn.add(alone := Told("b", battery_percent=101))

        assert await asyncio.wait_for(answers([alone]), LONGEST_SECONDS + 5) == ["invalid battery_percent"]
    await holding.close()


async def test_as_many_as_are_taken_at_once_wait_for_nobody(turn: Turn) -> None:
    arrivals = [Told(f"r{number}") for number in range(AT_ONCE)]
    for one in arrivals:
        turn.add(one)

    assert all(one.was_read for one in arrivals)
    assert await answers(arrivals) == ["stored"] * AT_ONCE
