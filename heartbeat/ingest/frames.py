"""What comes on a robot's socket, read without knowing whose it is."""

import msgspec

from heartbeat.ingest import schema
from heartbeat.ingest.answers import Message


class _Kind(msgspec.Struct):
    type: str = "heartbeat"


class CommandResult(msgspec.Struct):
    """A robot's answer to the command `id`: whether it did it, and what it says of it."""

    id: str
    ok: bool
    detail: str = ""


_kind_decoder = msgspec.json.Decoder(_Kind)
_result_decoder = msgspec.json.Decoder(CommandResult)


def bytes_of(message: Message) -> bytes:
    """A message as ASGI brings it."""
    text = message.get("text")
    return text.encode("utf-8", "surrogatepass") if text is not None else message.get("bytes") or b""


def result_in(frame: bytes) -> CommandResult:
    """What a robot answers to a command. Raises Invalid."""
    try:
        return _result_decoder.decode(frame)
    except msgspec.DecodeError as error:
        raise schema.Invalid("", str(error)) from error


def type_of(frame: bytes) -> str:
    """The type of a frame; one that cannot be read is judged as a heartbeat."""
    try:
        return _kind_decoder.decode(frame).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "heartbeat"


def sequence_in(frame: bytes) -> int | None:
    """The number in a heartbeat that is not valid otherwise, if it can be found."""
    try:
        found = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    sequence = found.get("sequence") if isinstance(found, dict) else None
    return sequence if isinstance(sequence, int) else None
