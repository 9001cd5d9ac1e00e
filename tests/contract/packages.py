"""The scenarios' deployments with packages of our own.

The recorded packages' bytes are not known, only their length and checksums. So each gets a package of the same length
made here, and its checksum stands wherever the recorded one stood.
"""

import copy
import gzip
import hashlib
import io
import json
import random
import tarfile
from dataclasses import dataclass
from functools import cache
from typing import Any

RECORDED_LENGTH = 804
# This one's package was missing on the recorded server: its checksum is all zeros.
NO_PACKAGE = "0" * 64


@dataclass(frozen=True, slots=True)
class Deployment:
    """A row as the API shows it, without `package_path` (each system has its own), and its package's bytes."""

    row: dict[str, Any]
    package: bytes | None


@cache
def package_of(version: str) -> bytes:
    """A real tar.gz of exactly the recorded length, the same for the same version."""
    # Compressed lengths jump, so not every content reaches the length: try others.
    for attempt in range(50):
        noise = random.Random(f"{version}/{attempt}").randbytes(RECORDED_LENGTH)
        for size in range(RECORDED_LENGTH - 200, RECORDED_LENGTH):
            packed = _tar_gz(noise[:size])
            if len(packed) == RECORDED_LENGTH:
                return packed
    raise AssertionError(f"no package of {RECORDED_LENGTH} bytes for {version}")


def with_own_packages(scenario: dict[str, Any]) -> tuple[dict[str, Any], list[Deployment]]:
    """The scenario with our checksums in place of the recorded ones, and the deployments it starts with."""
    checksums = {
        row["checksum"]: hashlib.sha256(package_of(row["version"])).hexdigest()
        for row in scenario.get("deployments", [])
        if row["checksum"] != NO_PACKAGE
    }
    text = json.dumps(scenario, ensure_ascii=False)
    for recorded, own in checksums.items():
        text = text.replace(recorded, own)
    ours = json.loads(text)
    deployments = [
        Deployment(copy.deepcopy(row), None if row["checksum"] == NO_PACKAGE else package_of(row["version"]))
        for row in ours.get("deployments", [])
    ]
    return ours, deployments


def _tar_gz(content: bytes) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("VERSION")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return gzip.compress(archive.getvalue(), mtime=0)
