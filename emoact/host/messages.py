"""What a page and a worker say to each other: JSON and plain arrays, nothing that could be run."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Mapping
from typing import Any

import numpy as np

LONGEST_HEADER = 4_000_000
_LONGEST_BODY = 1_000_000_000
_DTYPES = {"float64": np.float64, "float32": np.float32}


def send(
    connection: socket.socket, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Send one message.

    Raises:
        OSError: The other side is gone.
    """
    described = {
        name: {"dtype": array.dtype.name, "shape": list(array.shape)}
        for name, array in arrays.items()
    }
    header = json.dumps({"content": dict(content), "arrays": described}).encode()
    body = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    connection.sendall(len(header).to_bytes(8, "big") + header + body)


def receive(connection: socket.socket) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One message.

    Raises:
        EOFError: The other side left before the message was complete.
        ValueError: What came is no message.
        OSError: The connection failed, or took too long.
    """
    length = int.from_bytes(_exactly(connection, 8), "big")
    if length > LONGEST_HEADER:
        raise ValueError(f"a header of {length:,} bytes")
    header = json.loads(_exactly(connection, length))
    arrays = {}
    for name, entry in header["arrays"].items():
        dtype = np.dtype(_DTYPES[entry["dtype"]])
        size = math.prod(entry["shape"]) * dtype.itemsize
        if not 0 <= size <= _LONGEST_BODY:
            raise ValueError(f"an array of {size:,} bytes")
        arrays[name] = np.frombuffer(_exactly(connection, size), dtype=dtype).reshape(
            entry["shape"]
        )
    return header["content"], arrays


def _exactly(connection: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        part = connection.recv(min(length - len(received), 1 << 20))
        if not part:
            raise EOFError("the connection ended early")
        received += part
    return bytes(received)
