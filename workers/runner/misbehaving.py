"""How a connection is treated by a runner that was told to misbehave (workers/runner/scripts.py)."""

from __future__ import annotations

import socket
import struct
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

from workers.runner.scripts import dawdle

BLOCK = 64 * 1024


def misbehave(exchange: BaseHTTPRequestHandler, behaviour: dict[str, Any], answer: bytes) -> None:
    """Answer as told. `answer` is what a runner that behaves would have sent."""
    kind = behaviour["do"]
    if kind == "drop":
        _drop(exchange)
    elif kind == "http":
        given = behaviour.get("headers", {})
        _send(exchange, behaviour["status"], behaviour.get("text", "scripted").encode(), given)
    elif kind == "drip":
        _drip(exchange, answer, behaviour)
    elif kind == "huge":
        _stream(exchange, _huge(behaviour.get("bytes", 1 << 30)), {})
    elif kind == "gzip_bomb":
        _stream(exchange, _bomb(behaviour.get("bytes", 1 << 30)), {"content-encoding": "gzip"})
    elif kind == "truncated":
        _head(exchange, 200, {"content-length": str(len(answer) + 100)})
        exchange.wfile.write(answer)
    elif kind == "empty":
        _send(exchange, 200, b"", {})
    else:
        _send(exchange, 200, behaviour.get("text", "<html>not JSON</html>").encode(), {})


def _drop(exchange: BaseHTTPRequestHandler) -> None:
    """End the connection as a machine does that has lost its memory (RST), not politely."""
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.connection.close()


def _drip(exchange: BaseHTTPRequestHandler, answer: bytes, behaviour: dict[str, Any]) -> None:
    _head(exchange, 200, {"content-length": str(len(answer))})
    for number in range(len(answer)):
        exchange.wfile.write(answer[number : number + 1])
        exchange.wfile.flush()
        if dawdle(behaviour, behaviour.get("seconds", 1)):
            return


def _huge(size: int) -> Iterator[bytes]:
    yield b'{"status":200,"headers":{},"error":null,"body_b64":"'
    yield from (b"A" * BLOCK for _ in range(size // BLOCK))
    yield b'"}'


def _bomb(size: int) -> Iterator[bytes]:
    squeezed = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(size // BLOCK):
        yield squeezed.compress(b" " * BLOCK)
    yield squeezed.flush()


def _stream(exchange: BaseHTTPRequestHandler, blocks: Iterator[bytes], headers: dict[str, str]) -> None:
    """Without a length, until the other side has had enough."""
    _head(exchange, 200, headers)
    for block in blocks:
        exchange.wfile.write(block)


def _send(exchange: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    _head(exchange, status, {"content-length": str(len(body)), **headers})
    exchange.wfile.write(body)


def _head(exchange: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    exchange.send_response(status)
    for name, value in {"content-type": "application/json", "connection": "close", **headers}.items():
        exchange.send_header(name, value)
    exchange.end_headers()
