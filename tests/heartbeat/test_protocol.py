import asyncio
import socket

from uvicorn import Config, Server

from heartbeat.ingest.protocol import JoinedWrites


async def _answer(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def test_head_and_body_of_an_answer_arrive_in_one_piece():
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(Config(_answer, http=JoinedWrites, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            first_piece = await reader.read(65536)

            assert first_piece.startswith(b"HTTP/1.1 200 OK\r\n")
            assert first_piece.endswith(b"\r\n\r\nok")
        writer.close()
    finally:
        server.should_exit = True
        await serving
