"""The rare part of a v2 heartbeat as a profile, its numbers as columns."""

import hashlib
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import astuple

from heartbeat.ingest.schema import V2Heartbeat
from heartbeat.rules.reporting import SERVICE_LETTERS, motor_numbers

#: what identifies a profile in memory: RARE, motors' ids and names, channels, camera names, service names
Key = tuple[Any, ...]


def profile_of(said: V2Heartbeat) -> tuple[Key, list[float], list[float | None], str | None]:
    """The key of the profile, the motors' numbers, the cameras' frame rates, the services' letters."""
    numbers: list[float] = []
    motors: tuple[Any, ...] = ()
    channels: tuple[Any, ...] = ()
    if said.motors:
        ids, names, *columns = zip(*map(astuple, said.motors), strict=True)
        numbers, channels = motor_numbers(columns)
        motors = (ids, names)
    cameras: tuple[str, ...] = ()
    rates: list[float | None] = []
    if said.cameras:
        cameras = tuple([camera.name for camera in said.cameras])
        rates = [camera.fps for camera in said.cameras]
    services: tuple[str, ...] = ()
    letters = None
    if said.services is not UNSET:
        services = tuple(said.services)
        letters = "".join([SERVICE_LETTERS[state] for state in said.services.values()])
    key = (
        *(said.kind, said.site, said.firmware, said.version, said.deployment_id),
        *(motors, channels, cameras, services),
    )
    return key, numbers, rates, letters


def document_of(key: Key) -> bytes:
    """A profile as it is kept (`heartbeat.models.Profile`), as JSON."""
    kind, site, firmware, version, deployment_id, motors, channels, cameras, services = key
    return msgspec.json.encode(
        {
            "kind": kind,
            "site": site,
            "firmware": firmware,
            "version": version,
            "deployment_id": deployment_id,
            "motors": list(zip(*motors, strict=True)) if motors else [],
            "channels": channels,
            "cameras": cameras,
            "services": services,
        }
    )


def digest_of(document: bytes) -> bytes:
    """What a profile is unique by."""
    return hashlib.sha256(document).digest()[:16]
