"""The v2 heartbeat: its schema, field by field with units, and what is refused.

Unknown fields are ignored, so that a newer robot can speak to an older system; `extra` is kept. Layouts differ
per kind (motors, cameras) and are data: lists of what the robot has.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from heartbeat.ingest.beat import identity_of
from heartbeat.ingest.faults import field_and_reason
from heartbeat.rules.identity import LONGEST_BUCKETED_ID

LONGEST_BODY_BYTES = 64 * 1024
LONGEST_EXTRA_BYTES = 4 * 1024

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Short = Annotated[str, Meta(max_length=128)]
Long = Annotated[str, Meta(max_length=1_000)]
#: every number is kept in four bytes
Number = Annotated[float, Meta(ge=-1e30, le=1e30)]
Percent = Annotated[float, Meta(ge=0, le=100)]
NotNegative = Annotated[float, Meta(ge=0, le=1e30)]
Counter = Annotated[int, Meta(ge=0, le=2**63 - 1)]
#: as documented; `check` refuses them
_NO_CONTROL = {"pattern": "^[^\\u0000-\\u001f\\u007f]*$"}
RobotId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_BUCKETED_ID,
        description="At most 128 bytes in UTF-8: `maxLength` can only count characters.",
        extra_json_schema=_NO_CONTROL,
    ),
]
Service = Literal["active", "inactive", "unknown"]


class Motor(Struct, omit_defaults=True, gc=False):
    """One servo. All that today's host does not read is nullable."""

    id: Annotated[int, Meta(ge=0, le=253)]
    name: Short | None = None
    position_degrees: Number | None = None
    velocity: Number | None = None
    temperature_celsius: Number | None = None
    voltage_volts: Number | None = None
    load_percent: Number | None = None
    current_milliamperes: Number | None = None
    #: the servo's status byte
    status: Annotated[int, Meta(ge=0, le=255)] | None = None


class Camera(Struct, omit_defaults=True, gc=False):
    """One camera and the frames it delivers per second (0: none)."""

    name: Name
    fps: NotNegative | None = None


class Network(Struct, omit_defaults=True, gc=False):
    """The robot's own link."""

    rssi_dbm: Number | None = None
    rtt_ms: NotNegative | None = None


class Base(Struct, omit_defaults=True, gc=False):
    """Velocity of the base: metres per second, degrees per second."""

    x_vel: Number | None = None
    y_vel: Number | None = None
    theta_vel: Number | None = None


class Peer(Struct, omit_defaults=True, gc=False):
    """One WebRTC connection of the robot, by its own statistics."""

    id: Name
    state: Literal["new", "connecting", "connected", "disconnected", "failed", "closed"] = "connected"
    operator: Name | None = None
    rtt_ms: NotNegative | None = None
    loss_percent: Percent | None = None
    bitrate_kbps: NotNegative | None = None
    fps: NotNegative | None = None


class Device(Struct, omit_defaults=True, gc=False):
    """An input device in somebody's hands (gamepad, leader arm, keyboard), and when it last moved."""

    kind: Name
    active_age_ms: NotNegative | None = None
    operator: Name | None = None


class Flow(Struct, omit_defaults=True, gc=False):
    """A connection to one of the robot's ports, as the kernel sees it; nobody opens one to look."""

    port: Annotated[int, Meta(ge=1, le=65_535)]
    #: who is at the other end: an address, or a name that means nothing
    remote: Short = ""
    operator: Name | None = None
    received_age_ms: NotNegative | None = None
    received_bytes: Counter | None = None
    rtt_ms: NotNegative | None = None


class OperatorSeen(Struct, omit_defaults=True, gc=False):
    """A person or program that commands this robot, where the robot knows who it is."""

    id: Name
    command_age_ms: NotNegative | None = None
    command_rate_hz: NotNegative | None = None


class Teleop(Struct, omit_defaults=True, gc=False):
    """What the robot sees of an operator (docs/teleop.md: signals, strong to weak). All of it may be absent."""

    #: age of the latest command and how many come per second
    command_age_ms: NotNegative | None = None
    command_rate_hz: NotNegative | None = None
    #: whether the watchdog holds the base stopped for want of commands
    watchdog_active: bool | None = None
    observers: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    host_up: bool | None = None
    driver: Literal["human", "policy", "replay", "unknown"] | None = None
    #: for how long commands have come without a gap that the watchdog would notice
    commanded_for_ms: NotNegative | None = None
    #: for how long the host has been up, and how long it runs before it ends by itself
    host_up_for_ms: NotNegative | None = None
    host_runs_for_ms: NotNegative | None = None
    #: the service unit that starts the host
    service: Service | None = None
    #: when the quickest and the slowest observer last took a frame
    observer_ages_ms: Annotated[list[NotNegative], Meta(max_length=16)] | None = None
    peers: Annotated[list[Peer], Meta(max_length=16)] | None = None
    devices: Annotated[list[Device], Meta(max_length=16)] | None = None
    flows: Annotated[list[Flow], Meta(max_length=32)] | None = None
    operators: Annotated[list[OperatorSeen], Meta(max_length=16)] | None = None
    #: whether the base or an arm moves
    moving: bool | None = None
    #: when this was measured, by a clock that nobody sets (ms since the robot's start)
    measured_ms: NotNegative | None = None
    #: how soon the next report of these comes at the latest
    next_in_ms: Annotated[float, Meta(gt=0, le=86_400_000)] | None = None


class V2Heartbeat(Struct, omit_defaults=True, gc=False):
    """A v2 heartbeat, however it comes. Only `robot_id` is required."""

    robot_id: RobotId
    kind: Short | None = None
    site: Name | None = None
    firmware: Short | None = None
    #: identifies the robot's current run; `sequence` counts within it
    boot_id: Name | None = None
    sequence: Counter | None = None
    #: by the robot's own clock, with an offset
    sent_at: Annotated[datetime, Meta(tz=True)] | None = None
    status: Short = "idle"
    version: Short | None = None
    deployment_id: Short | None = None
    message: Long | None = None
    #: absent or null: wired, or it does not know
    battery_percent: Percent | None = None
    cpu_temperature_celsius: Number | None = None
    cpu_load_percent: NotNegative | None = None
    memory_percent: Percent | None = None
    disk_percent: Percent | None = None
    network: Network | None = None
    motors: Annotated[list[Motor], Meta(max_length=64)] = []
    cameras: Annotated[list[Camera], Meta(max_length=16)] = []
    base: Base | None = None
    services: dict[Name, Service] | UnsetType = UNSET
    teleop: Teleop | None = None
    #: when the robot expects to speak again
    next_in_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    #: free, at most 4 KiB as JSON
    extra: dict[str, Any] | None = None


_H = TypeVar("_H", bound="Heard")


class Invalid(Exception):
    """A v2 body that is refused: which field, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class Heard(V2Heartbeat, omit_defaults=True, gc=False):
    """A heartbeat as it is read: most of its text are motors, which need not become objects (`ingest.motors`)."""

    motors: msgspec.Raw = msgspec.Raw(b"[]")  # type: ignore[assignment]


class SocketHeartbeat(Heard, omit_defaults=True, gc=False):
    """A frame of a robot's socket that is a heartbeat, or says that it is something else."""

    type: str = "heartbeat"


_decoder = msgspec.json.Decoder(Heard)
_socket_decoder = msgspec.json.Decoder(SocketHeartbeat)
_whole_decoder = msgspec.json.Decoder(V2Heartbeat)
_motors_decoder: msgspec.json.Decoder[list[Motor]] = msgspec.json.Decoder(V2Heartbeat.__annotations__["motors"])
_encoder = msgspec.json.Encoder()
#: what a decoder raises
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(body: bytes) -> Heard:
    """Parse a body and validate all but its motors, of which it is sure that they are JSON. Raises Invalid."""
    return _decoded(body, _decoder)


def decode_frame(frame: bytes) -> SocketHeartbeat:
    """The same of a socket's frame, whatever it says it is."""
    return _decoded(frame, _socket_decoder)


def motors_in(text: bytes) -> list[Motor]:
    """The motors of a heartbeat. Raises Invalid, which names the field."""
    try:
        return _motors_decoder.decode(text)
    except _UNREADABLE as error:
        raise _invalid(error, within="motors") from error


def _decoded(body: bytes, decoder: msgspec.json.Decoder[_H]) -> _H:
    if len(body) > LONGEST_BODY_BYTES:
        raise Invalid("", f"the body has {len(body)} bytes, at most {LONGEST_BODY_BYTES} are taken")
    try:
        said = decoder.decode(body)
        # One byte is found much sooner than six.
        whole = _whole_decoder.decode(body) if b"\\" in body and b"\\u0000" in body else None
    except _UNREADABLE as error:
        raise _invalid(error) from error
    check(said, whole)
    return said


def _invalid(error: Exception, within: str = "") -> Invalid:
    if not isinstance(error, msgspec.ValidationError):
        return Invalid("", f"the body is not valid JSON: {error}")
    field, reason = field_and_reason(str(error))
    return Invalid(within + field, reason)


def convert(fields: Mapping[str, Any]) -> Heard:
    """A heartbeat of fields that came as text. Raises Invalid, which names the field."""
    try:
        said = msgspec.convert(fields, V2Heartbeat, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    heard = _decoder.decode(_encoder.encode(said))
    check(heard, said)
    return heard


def check(said: Heard, whole: V2Heartbeat | None) -> None:
    """What the schema cannot say; `whole` is the same with all of its texts, if one may hold U+0000. Raises Invalid."""
    if whole is not None and (field := _nul_in(msgspec.to_builtins(whole), "")):
        raise Invalid(field, "contains U+0000, which cannot be stored")
    if identity_of(said.robot_id).bucket is None:
        raise Invalid("robot_id", f"needs 1 to {LONGEST_BUCKETED_ID} bytes without control characters")
    if said.sent_at is not None and said.sent_at.tzinfo is not UTC:
        try:
            said.sent_at = said.sent_at.astimezone(UTC)
        except OverflowError as error:
            raise Invalid("sent_at", "is no moment of this era") from error
    if said.extra is not None and len(_encoder.encode(said.extra)) > LONGEST_EXTRA_BYTES:
        raise Invalid("extra", f"is longer than {LONGEST_EXTRA_BYTES} bytes of JSON")


def _nul_in(value: Any, path: str) -> str:
    """The path of the first string with a NUL, or ""."""
    if isinstance(value, str):
        return path if "\x00" in value else ""
    if isinstance(value, dict):
        for name, item in value.items():
            inside = f"{path}.{name}" if path else name
            if "\x00" in name:
                return inside.replace("\x00", "\\u0000")
            if found := _nul_in(item, inside):
                return found
    if isinstance(value, list):
        for index, item in enumerate(value):
            if found := _nul_in(item, f"{path}[{index}]"):
                return found
    return ""
