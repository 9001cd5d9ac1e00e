"""The rare part of a v2 heartbeat as a profile, its numbers as columns.

To find out anew with every heartbeat which motors tell what cost a fifth of all its work. So the shape of each robot's
latest heartbeat is remembered, and recognised by its text without digits: the same punctuation, names and words mean
the same members in the same places. What digits can tell apart (ids, versions, names such as `cam0`) is compared.
"""

import hashlib
from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import astuple

from heartbeat.ingest.schema import Motor, V2Heartbeat
from heartbeat.rules.kind import kind_from_word
from heartbeat.rules.reporting import CHANNELS, SERVICE_LETTERS, motor_numbers

_encode = msgspec.json.Encoder().encode
_DIGITS = b"0123456789.+-"
_DIGITS_IN_A_NAME = frozenset("0123456789.+-")
_rare = attrgetter("kind", "site", "firmware", "version", "deployment_id")
_channels = [attrgetter(channel) for channel in CHANNELS]
_id, _name = attrgetter("id"), attrgetter("name")

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
    """How a robot speaks: what its text without digits stands for. Robots that speak alike share one."""

    profile: Profile
    rare: tuple[str | None, ...]
    #: health as legacy's robots would send it, the services' letters; kind, site and firmware as the state has them;
    #: version and deployment: the first ones of `columns.V2_WORDS` after role and side
    words: tuple[str | None, ...]
    ids: list[int]
    #: names of motors, cameras and services, if digits could tell them apart; else None
    names: tuple[Any, ...] | None
    #: what reads a channel, and what picks the motors that tell it, None for all
    told: tuple[tuple[Callable[[Motor], Any], Callable[[list[Motor]], tuple[Motor, ...]] | None], ...]
    #: how many numbers its motors tell
    motors_count: int


#: of each robot its latest text without digits (the hash of it: 10,000 texts do not stay in a processor's cache) and
#: how it is understood
_shapes: dict[str, tuple[int, Shape]] = {}
#: by what they are made of. One shape a robot would be read from memory with every heartbeat: 40 places each
_shared: dict[tuple[bytes, tuple[str | None, ...]], Shape] = {}
_profiles: dict[bytes, Profile] = {}
_NEVER_HEARD = 0, None


def shape_of(said: V2Heartbeat, text: bytes) -> Shape:
    """The shape of a heartbeat that came as `text`."""
    skeleton = hash(text.translate(None, _DIGITS))
    before, known = _shapes.get(said.robot_id, _NEVER_HEARD)
    if (
        known is not None
        and before == skeleton
        and known.rare == _rare(said)
        and known.ids == list(map(_id, said.motors))
        and (known.names is None or known.names == _names(said))
    ):
        return known
    if len(_shapes) >= MOST_SHAPES:
        for each in (_shapes, _shared, _profiles):
            each.clear()
    shape = _new_shape(said)
    shape = _shared.setdefault((shape.profile.document, shape.words), shape)
    _shapes[said.robot_id] = skeleton, shape
    return shape


def numbers_of(shape: Shape, motors: list[Motor]) -> list[float]:
    """The known numbers of all motors, channel by channel."""
    numbers: list[float] = []
    for read, pick in shape.told:
        numbers += map(read, motors if pick is None else pick(motors))
    return numbers


def _pick(places: Sequence[int]) -> Callable[[list[Motor]], tuple[Motor, ...]]:
    if len(places) == 1:
        return lambda motors: (motors[places[0]],)
    return itemgetter(*places)


def _new_shape(said: V2Heartbeat) -> Shape:
    told: tuple[Any, ...] = ()
    if said.motors:
        _, _, *columns = zip(*map(astuple, said.motors), strict=True)
        _, told = motor_numbers(columns)
    letters = health = None
    if said.services is not UNSET:
        letters = "".join([SERVICE_LETTERS[state] for state in said.services.values()])
        # The time that legacy's robots put beside it is `sent_at`, and is added where health is read.
        health = f'{{"services":{_encode(said.services).decode()}}}'
    names = _names(said)
    document = _encode(
        {
            **dict(zip(("kind", "site", "firmware", "version", "deployment_id"), _rare(said), strict=True)),
            "motors": [(motor.id, motor.name) for motor in said.motors],
            "channels": told,
            "cameras": names[1],
            "services": names[2],
        }
    )
    profile = _profiles.setdefault(document, Profile(document))
    ambiguous = any(not _DIGITS_IN_A_NAME.isdisjoint(name or "") for some in names for name in some)
    ids = [motor.id for motor in said.motors]
    reading = tuple((_channels[channel], None if places is None else _pick(places)) for channel, places in told)
    count = sum(len(said.motors) if places is None else len(places) for _, places in told)
    rare = _rare(said)
    kind, site, firmware, *versions = rare
    words = (health, letters, kind_from_word(kind) if kind else "", site or "", firmware or "", *versions)
    return Shape(profile, rare, words, ids, names if ambiguous else None, reading, count)


def _names(said: V2Heartbeat) -> tuple[list[str | None], list[str], list[str]]:
    services = [] if said.services is UNSET else list(said.services)
    return list(map(_name, said.motors)), [camera.name for camera in said.cameras], services
