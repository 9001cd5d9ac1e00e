"""The rare part of a v2 heartbeat as a profile, its numbers as columns.

To find out anew with every heartbeat which motors tell what cost a fifth of all its work. So the shape of each robot's
latest heartbeat is remembered, and recognised: the rare fields, cameras and services are compared, and the text of the
motors has the same layout (`heartbeat.ingest.motors`).
"""

import hashlib
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import astuple

from heartbeat.ingest.arrays import number_items
from heartbeat.ingest.motors import Layout, layout_of
from heartbeat.ingest.schema import Heard, Motor, motors_in
from heartbeat.rules.kind import kind_from_word
from heartbeat.rules.reporting import RARE, SERVICE_LETTERS, motor_numbers

_encode = msgspec.json.Encoder().encode
_rare = attrgetter(*RARE)
_name = attrgetter("name")

#: robots whose shape is remembered, and profiles that are known by identity; beyond it all are forgotten
MOST_SHAPES = 100_000


class Profile:
    """What changes rarely (`heartbeat.models.Profile`). Equal ones are the same object."""

    __slots__ = ("document",)

    def __init__(self, document: bytes) -> None:
        #: as JSON
        self.document = document

    @property
    def digest(self) -> bytes:
        """What it is unique by in the database."""
        return hashlib.sha256(self.document).digest()[:16]


class Shape(msgspec.Struct, frozen=True, gc=False):
    """How a robot speaks. Robots that speak alike share one."""

    profile: Profile
    rare: tuple[str | None, ...]
    cameras: list[str]
    services: Any
    #: health as legacy's robots would send it, the services' letters; kind, site and firmware as the state has them;
    #: version and deployment: the first ones of `columns.V2_WORDS` after role and side
    words: tuple[str | None, ...]
    #: of the motors' text; None when it takes a parser to read it
    layout: Layout | None
    #: how many numbers its motors tell
    motors_count: int


#: of each robot its latest heartbeat's
_shapes: dict[str, Shape] = {}
#: by what they are made of. One shape a robot would be read from memory with every heartbeat: 40 places each
_shared: dict[tuple[Any, ...], Shape] = {}
_profiles: dict[bytes, Profile] = {}


def shape_of(said: Heard) -> tuple[Shape, str]:
    """The shape of a heartbeat, and its motors' numbers, channel by channel. Raises Invalid when its motors are not."""
    text = bytes(said.motors)
    known = _shapes.get(said.robot_id)
    if (
        known is not None
        and known.layout is not None
        and known.rare == _rare(said)
        and known.cameras == list(map(_name, said.cameras))
        and known.services == said.services
        and (numbers := known.layout.numbers_in(text)) is not None
    ):
        return known, numbers
    if len(_shapes) >= MOST_SHAPES:
        for each in (_shapes, _shared, _profiles):
            each.clear()
    shape, numbers = _new_shape(said, text, motors_in(text))
    if shape.layout is None and known is not None and (known.profile, known.words) == (shape.profile, shape.words):
        return known, numbers  # it will be written as usual again
    layout = shape.layout and (shape.layout.skeleton, shape.layout.fixed)
    _shapes[said.robot_id] = shape = _shared.setdefault((shape.profile.document, shape.words, layout), shape)
    return shape, numbers


def _new_shape(said: Heard, text: bytes, motors: list[Motor]) -> tuple[Shape, str]:
    numbers: list[float] = []
    told: tuple[tuple[int, tuple[int, ...] | None], ...] = ()
    if motors:
        _, _, *columns = zip(*map(astuple, motors), strict=True)
        numbers, told = motor_numbers(columns)
    letters = health = None
    if said.services is not UNSET:
        letters = "".join([SERVICE_LETTERS[state] for state in said.services.values()])
        # The time that legacy's robots put beside it is `sent_at`, and is added where health is read.
        health = f'{{"services":{_encode(said.services).decode()}}}'
    rare, cameras = _rare(said), list(map(_name, said.cameras))
    document = _encode(
        {
            **dict(zip(RARE, rare, strict=True)),
            "motors": [(motor.id, motor.name) for motor in motors],
            "channels": told,
            "cameras": cameras,
            "services": [] if said.services is UNSET else list(said.services),
        }
    )
    profile = _profiles.setdefault(document, Profile(document))
    kind, site, firmware, *versions = rare
    words = (health, letters, kind_from_word(kind) if kind else "", site or "", firmware or "", *versions)
    shape = Shape(profile, rare, cameras, said.services, words, layout_of(text, told), len(numbers))
    return shape, number_items(numbers)
