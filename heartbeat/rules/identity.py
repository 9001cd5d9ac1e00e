"""Who a robot is: its exact bytes, the key that joins its spellings, its bucket, and text that a screen can show."""

import hashlib
import zlib

#: buckets are 0 … 9999, so a bucket is a hundredth of a percent
BUCKETS = 10_000
#: longer ids have no bucket and take the default side (DESIGN.md, "Ids")
LONGEST_BUCKETED_ID = 128
#: a btree entry holds at most about 2,700 bytes; keys stay far below
LONGEST_KEY = 512

_CONTROL = bytes([*range(32), 127])
#: never occurs in UTF-8, so a folded key cannot equal the key of a short id
_FOLDED = b"\xff"


def exact_bytes(robot_id: str) -> bytes:
    """The bytes a robot sent: UTF-8, a lone surrogate as its three bytes (as the door's filter sees it)."""
    return robot_id.encode("utf-8", "surrogatepass")


def key_of(robot_id: str) -> bytes:
    """The key of a robot: its lowered bytes. `str.lower()` would differ from the door's for `É` or the Kelvin sign."""
    return _folded(exact_bytes(robot_id).lower())


def row_key_of(robot_id: str) -> bytes:
    """The key of a legacy row: the exact bytes; two spellings of one robot are two rows, as in legacy."""
    return _folded(exact_bytes(robot_id))


def bucket_of(robot_id: str) -> int | None:
    """The bucket 0 … 9999 that decides the side, or None: empty, over 128 bytes, or with control characters."""
    return None if why_no_bucket(robot_id) else zlib.crc32(exact_bytes(robot_id).lower()) % BUCKETS


def why_no_bucket(robot_id: str) -> str | None:
    """What keeps an id from having a bucket, or None if it has one: the same predicate as the door's filter."""
    sent = exact_bytes(robot_id)
    if not sent:
        return "the id is empty"
    if len(sent) > LONGEST_BUCKETED_ID:
        return f"over {LONGEST_BUCKETED_ID} bytes"
    if sent.translate(None, _CONTROL) != sent:
        return "it holds control characters"
    return None


def displayable(text: str) -> str:
    """`text` as PostgreSQL's `text` can hold it: NUL becomes U+2400, a lone surrogate U+FFFD."""
    if text.isascii() and "\x00" not in text:
        return text
    if "\x00" in text:
        text = text.replace("\x00", "\u2400")
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def _folded(sent: bytes) -> bytes:
    if len(sent) < LONGEST_KEY:
        return sent
    return sent[: LONGEST_KEY - 33] + _FOLDED + hashlib.sha256(sent).digest()
