"""The WebSocket half of the client, against the `websockets` library's idea of a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lekiwi_heartbeat import frames
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.streams import StreamReader


@given(st.lists(st.binary(max_size=70_000), max_size=4), st.integers(1, 5_000))
def test_messages_survive_any_cutting_of_the_stream(messages: list[bytes], piece: int) -> None:
    stream = b"".join(Frame(Opcode.TEXT, message).serialize(mask=False) for message in messages)
    conversation = frames.Conversation()

    heard = [
        message
        for start in range(0, len(stream), piece)
        for message in conversation.receive(stream[start : start + piece])
    ]

    assert heard == messages


@given(st.binary(max_size=70_000))
def test_a_frame_is_read_by_another_implementation(payload: bytes) -> None:
    server = ServerProtocol()
    reader = StreamReader()
    reader.feed_data(frames.frame(frames.TEXT, payload))

    parser = Frame.parse(reader.read_exact, mask=True)
    with pytest.raises(StopIteration) as done:
        next(parser)

    assert (done.value.value.opcode, done.value.value.data) == (Opcode.TEXT, payload)
    assert server is not None


def test_the_handshake_is_accepted_by_another_implementation() -> None:
    key = frames.new_key()
    server = ServerProtocol()
    server.receive_data(frames.request("/ws/robot/", "127.0.0.1:8080", "lkr_1", key))
    (request,) = server.events_received()
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    head = frames.read_head(b"".join(server.data_to_send()) + b"rest")

    assert request.headers["authorization"] == "Bearer lkr_1"
    assert head is not None
    assert (head.status, head.rest) == (101, b"rest")
    frames.check_accepted(head, key)
    with pytest.raises(frames.ProtocolError):
        frames.check_accepted(head, frames.new_key())


def test_fragments_are_joined_and_a_ping_between_them_is_answered() -> None:
    conversation = frames.Conversation()
    stream = Frame(Opcode.TEXT, b"he", fin=False).serialize(mask=False)
    stream += Frame(Opcode.PING, b"?").serialize(mask=False)
    stream += Frame(Opcode.CONT, b"llo").serialize(mask=False)

    assert conversation.receive(stream) == [b"hello"]
    assert conversation.to_send[:2] == bytes((0x8A, 0x81))


def test_a_close_is_told_with_its_code() -> None:
    conversation = frames.Conversation()
    conversation.receive(Frame(Opcode.CLOSE, (4401).to_bytes(2, "big") + b"revoked").serialize(mask=False))

    assert conversation.closed_with == 4401


@pytest.mark.parametrize(
    "nonsense", [b"\x81\xff" + bytes(12), b"\xc1\x01x", b"\x80\x01x", b"\x82\x7f" + b"\x7f" + bytes(7)]
)
def test_what_is_no_websocket_is_refused(nonsense: bytes) -> None:
    with pytest.raises(frames.ProtocolError):
        frames.Conversation().receive(nonsense)


@pytest.mark.parametrize("nonsense", [b"SSH-2.0-OpenSSH\r\n\r\n", b"x" * 20_000])
def test_an_answer_that_is_no_http_is_refused(nonsense: bytes) -> None:
    with pytest.raises(frames.ProtocolError):
        frames.read_head(nonsense)
