"""Messages over a socket between processes: a length, descriptors that go with it, and a body."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

_LENGTH = struct.Struct("!I")
_MOST_DESCRIPTORS = 3


@dataclass(frozen=True, slots=True)
class Message:
    """What came over a socket; the descriptors are this process's own now."""

    body: bytes
    descriptors: tuple[int, ...]


def send(line: socket.socket, body: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send a message.

    Raises:
        OSError: The other end has gone.
    """
    length = _LENGTH.pack(len(body))
    if descriptors:
        socket.send_fds(line, [length], descriptors)
        line.sendall(body)
    else:
        line.sendall(length + body)


def receive(line: socket.socket) -> Message | None:
    """Wait for a message; None once the other end has gone."""
    header, descriptors, _, _ = socket.recv_fds(line, _LENGTH.size, _MOST_DESCRIPTORS)
    if len(header) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(header)
    body = bytearray()
    while len(body) < size:
        chunk = line.recv(size - len(body))
        if not chunk:
            return None
        body += chunk
    return Message(bytes(body), tuple(descriptors))
