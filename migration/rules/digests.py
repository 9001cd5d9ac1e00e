"""Digests of rows in buckets, so that what is equal is told from what is not without looking at a field.

A tree of two levels (Merkle 1987): a leaf for each bucket of ids, and one root over them. Trees of two systems are
compared from the top: an equal root ends it, else only the rows of unequal buckets are compared field by field.
"""

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from migration.rules.comparing import Row, canonical, compared_fields

BUCKETS = 256
_SIZE = 16
_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class Digests:
    """The leaves by bucket (those without rows are missing) and the root."""

    leaves: Mapping[int, bytes]
    root: bytes


def bucket_of(robot_id: str) -> int:
    """The bucket of a row's id, 0 … 255. It has nothing to do with the bucket that decides the owner."""
    return zlib.crc32(robot_id.encode("utf-8", "surrogatepass")) % BUCKETS


def digests_of(rows: Mapping[str, Row]) -> Digests:
    """Digest rows by id, whatever their order. Clock fields are left out: they are never equal, and have bounds."""
    sums: dict[int, int] = {}
    for robot_id, row in rows.items():
        digest = hashlib.blake2b(_text([robot_id, compared_fields(row)]), digest_size=_SIZE).digest()
        bucket = bucket_of(robot_id)
        # A sum and not an exclusive or: two equal rows would cancel out.
        sums[bucket] = (sums.get(bucket, 0) + int.from_bytes(digest)) % (1 << 8 * _SIZE)
    leaves = {bucket: total.to_bytes(_SIZE) for bucket, total in sums.items()}
    root = hashlib.blake2b(digest_size=_SIZE)
    for bucket in sorted(leaves):
        root.update(bytes([bucket]) + leaves[bucket])
    return Digests(leaves, root.digest())


def _text(value: Any) -> bytes:
    """Canonical JSON, made in C; what that refuses (a lone surrogate, a number of more than 64 bits) by Python."""
    try:
        return _encode(value)
    except (ValueError, OverflowError, msgspec.MsgspecError):
        return canonical(value).encode()


def unequal(one: Digests, other: Digests) -> list[int]:
    """The buckets in which two systems differ, in order."""
    if one.root == other.root:
        return []
    return sorted(
        bucket for bucket in {*one.leaves, *other.leaves} if one.leaves.get(bucket) != other.leaves.get(bucket)
    )
