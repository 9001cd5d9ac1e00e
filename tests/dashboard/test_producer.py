import asyncio
import json

import pytest

from dashboard.partials import Screen
from dashboard.producer import Producer

QUICK = 0.01


class Figures:
    """A source of screens that can be broken."""

    def __init__(self) -> None:
        self.asked = 0
        self.broken = False

    async def look(self) -> Screen:
        self.asked += 1
        if self.broken:
            raise ConnectionError("the database does not answer\nDETAIL: none")
        return Screen(
            at=f"2026-11-24T03:12:{self.asked:02d}+00:00", html={"same": "a", "news": str(self.asked)}, data={}
        )


@pytest.fixture
def figures() -> Figures:
    return Figures()


async def newest(producer: Producer, seen: int) -> tuple[int, dict]:
    async with asyncio.timeout(5):
        seq, text = await producer.newer(seen)
    return seq, json.loads(text)


async def test_a_newcomer_gets_the_whole_screen_and_then_only_what_changed(figures):
    producer = Producer(figures.look, QUICK)

    async with producer.watching():
        seq, first = await newest(producer, 0)
        _, second = await newest(producer, seq)

    assert first["whole"]
    assert first["html"] == {"same": "a", "news": first["html"]["news"]}
    assert not second["whole"]
    assert list(second["html"]) == ["news"]


async def test_one_that_missed_a_frame_gets_the_whole_newest_one(figures):
    producer = Producer(figures.look, QUICK)

    async with producer.watching():
        seq, _ = await newest(producer, 0)
        while producer.seq < seq + 3:
            await newest(producer, producer.seq)
        late, frame = await newest(producer, seq)

    assert late >= seq + 3
    assert frame["whole"]


async def test_all_that_keep_up_get_the_same_text(figures):
    producer = Producer(figures.look, QUICK)

    async with producer.watching():
        seq, _ = await newest(producer, 0)
        texts = await asyncio.gather(*(producer.newer(seq) for _ in range(50)))

    assert len({id(text) for _, text in texts}) == 1


async def test_it_renders_only_while_somebody_watches_and_once_for_all(figures):
    producer = Producer(figures.look, QUICK)

    async with producer.watching(), producer.watching(), producer.watching():
        seq, _ = await newest(producer, 0)
        assert figures.asked == seq
    assert not producer.is_running

    asked = figures.asked
    await asyncio.sleep(5 * QUICK)
    assert figures.asked == asked


async def test_who_comes_after_a_pause_gets_no_figures_from_before_it(figures):
    producer = Producer(figures.look, QUICK)
    async with producer.watching():
        await newest(producer, 0)
    before = figures.asked

    async with producer.watching():
        _, frame = await newest(producer, 0)

    assert frame["whole"]
    assert int(frame["html"]["news"]) > before


async def test_figures_that_cannot_be_read_are_told_and_come_back_whole(figures):
    producer = Producer(figures.look, QUICK)

    async with producer.watching():
        seq, _ = await newest(producer, 0)
        figures.broken = True
        frame = {}
        while "trouble" not in frame:
            seq, frame = await newest(producer, seq)
        figures.broken = False
        _, after = await newest(producer, producer.seq)
        while "trouble" in after:
            _, after = await newest(producer, producer.seq)

    assert frame == {
        "seq": seq,
        "trouble": "The site cannot read its figures: the database does not answer",
    }
    assert after["whole"]
