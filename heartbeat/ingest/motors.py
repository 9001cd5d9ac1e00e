"""The numbers of a robot's motors, read from their text without an object for each.

Nine to seventeen motors are most of a heartbeat, and to make objects of them, read those and write their numbers again
was an eighth of its work. How a robot writes its motors changes with its software only: once the objects were made, a
`Layout` knows where in the text each number stands, and recognises the text by all in it that is no number.

Why that is exact: two texts that are valid JSON and differ in what numbers are made of only have the same members. In
the first one no name of a member holds any of that; where one does in the second, its comma is not followed by a colon
any more. What of it is in the motors' names has to be the same, and the name as a whole has to occur.
"""

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from heartbeat.rules.reporting import CHANNELS

_OF_NUMBERS = b"0123456789.+-"
_BESIDE_NUMBERS = bytes(set(range(256)) - set(_OF_NUMBERS + b",:"))
#: before each member, once all beside numbers is taken away; the first one has no comma of its own
_NEXT = b",:"
_WORDS = re.compile(rb'"[^"]*"')
_EXPONENT = re.compile(rb"[0-9][eE]")
#: characters of a number that is sure to be one of `schema.Number`
LONGEST_NUMBER = 30
MOST_STATUS = 255

Pick = Callable[[Sequence[bytes]], tuple[bytes, ...]]


class Layout(msgspec.Struct, frozen=True, gc=False):
    """Where in the JSON text of a robot's motors what stands."""

    #: the text without what numbers are made of
    skeleton: bytes
    members: int
    #: of the members those that have to be the same: ids and names, of which mostly nothing is left
    pick_fixed: Pick
    fixed: tuple[bytes, ...]
    #: names of which something is left
    names: tuple[bytes, ...]
    #: the numbers that are kept, in their order in the log
    pick: Pick
    #: those of them that are status bytes
    pick_status: Pick | None

    def numbers_in(self, text: bytes) -> str | None:
        """The numbers in a text that is valid JSON, with commas between them; None when it has another layout."""
        if text.translate(None, _OF_NUMBERS) != self.skeleton:
            return None
        members = _members(text)
        if len(members) != self.members or self.pick_fixed(members) != self.fixed:
            return None
        if self.names and not all(map(text.__contains__, self.names)):
            return None
        numbers = self.pick(members)
        if numbers and max(map(len, numbers)) > LONGEST_NUMBER:
            return None
        if self.pick_status is not None and not all(map(_is_status, self.pick_status(members))):
            return None
        return b",".join(numbers).decode()


def layout_of(text: bytes, told: Sequence[tuple[int, Sequence[int] | None]]) -> Layout | None:
    """How the motors in `text` are written; None when it takes a parser to read them.

    `told` names the numbers that are kept, as `rules.reporting.motor_numbers` does.
    """
    try:
        motors = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # it is in a member that nobody knows, or `text` would have been refused
    said = [((place, name), value) for place, motor in enumerate(motors) for name, value in motor.items()]
    members = _members(text)
    keys = [name.encode() for (_, name), _ in said]
    names, others = _words(said, "name"), _words(said)
    odd = [name for name in names if _what_is_left(name)]
    if (
        b"\\" in text
        or _EXPONENT.search(_WORDS.sub(b"", text))
        or any(_what_is_left(key) for key in keys)
        or any(b"," in word or b":" in word for word in (*keys, *names, *others))
        or any(isinstance(value, list | dict) for _, value in said)
        or len(members) != 1 + len(said)
        # Words of the same letters could take each other's place.
        or len({(_letters(name), _what_is_left(name)) for name in odd}) < len(odd)
        or not set(map(_letters, odd)).isdisjoint(map(_letters, others))
    ):
        return None
    numbered = {member: number for number, (member, _) in enumerate(said, 1)}
    kept = [
        (CHANNELS[channel], numbered[place, CHANNELS[channel]])
        for channel, places in told
        for place in (range(len(motors)) if places is None else places)
    ]
    status = [number for channel, number in kept if channel == "status"]
    fixed = [number for number, ((_, name), _) in enumerate(said, 1) if name in ("id", "name")]
    return Layout(
        skeleton=_letters(text),
        members=len(members),
        pick_fixed=_picking(fixed),
        fixed=tuple(members[number] for number in fixed),
        names=tuple(b'"%s"' % name for name in odd),
        pick=_picking([number for _, number in kept]),
        pick_status=_picking(status) if status else None,
    )


def _members(text: bytes) -> list[bytes]:
    """What numbers are made of, by member; before them a place in which there is nothing."""
    return (b"," + _what_is_left(text)).split(_NEXT)


def _words(said: Sequence[tuple[tuple[int, str], Any]], of: str = "") -> list[bytes]:
    """The words that are the member `of` of motors, or else all others."""
    return [
        value.encode()
        for (_, member), value in said
        if isinstance(value, str) and (member == of if of else member != "name")
    ]


def _letters(text: bytes) -> bytes:
    return text.translate(None, _OF_NUMBERS)


def _what_is_left(text: bytes) -> bytes:
    return text.translate(None, _BESIDE_NUMBERS)


def _is_status(text: bytes) -> bool:
    return text.isdigit() and int(text) <= MOST_STATUS


def _picking(places: Sequence[int]) -> Pick:
    if not places:
        return _nothing
    return itemgetter(*places) if len(places) > 1 else lambda members: (members[places[0]],)


def _nothing(members: Sequence[Any]) -> tuple[bytes, ...]:
    return ()
