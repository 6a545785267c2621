"""Finding the model hosts of this user and exchanging messages with them; never imports torch.

A model host is a process that keeps one loaded model. It listens on a Unix socket in a folder of
its own below `hosts_folder()`, which only its user may enter. While the process lives, connecting
works; once it has ended, the system refuses the connection. A message is JSON and arrays in the
format of safetensors, each with its length. Nothing in it can be executed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shutil
import socket
import stat
import struct
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import emoact
from emoact.errors import EmoactError, RequestError
from emoact.models.cache import cache_root
from emoact.version import __version__, versions

IDLE = "EMOACT_HOST_IDLE_S"
"""Variable with the seconds that a host keeps its model without a request; 0 keeps none."""

REQUEST = (64_000, 0)
"""Most bytes of JSON and of arrays that a host reads."""
ANSWER = (4_000_000, 1_000_000_000)
"""The same of its answers."""

_IDLE_S = 600.0
# Of `sockaddr_un`, on Linux 108 and on macOS 104 bytes with the final NUL.
_LONGEST_SOCKET = 100
_NAME_LENGTH = 16
_STALE_S = 3600.0
_PREFIX = "host-"
_ATTEMPTS = 100
_DECIDING = (
    "EMOACT_", "OMP_", "GOMP_", "MKL_", "OPENBLAS_", "DNNL_", "ONEDNN_", "ATEN_", "TORCH",
    "PYTORCH_", "CUDA", "CUBLAS_", "NVIDIA_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "LD_",
    "PYTHON", "TMPDIR", "XDG_CACHE_HOME", "HOME",
)  # fmt: skip
"""Beginnings of the variables that can change what a run computes, reads or may print."""
_IGNORED = {IDLE, "EMOACT_RESULTS", "PYTHONUNBUFFERED"}


def idle_s() -> float:
    """Seconds that a host keeps its model without a request.

    Raises:
        RequestError: The variable is not a number of seconds.
    """
    text = os.environ.get(IDLE, "").strip()
    try:
        seconds = float(text) if text else _IDLE_S
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise RequestError(f"{IDLE} is {text[:40]!r}; a number of seconds from 0 on is allowed")
    return seconds


def stamp(program: str, environment: Mapping[str, str]) -> str:
    """Hash of everything but the request that decides what a process computes.

    Two processes with equal stamps run the same program from the same files with the same libraries
    and the same settings in their environment. Only the hash is sent, never a value.
    """
    settings = {
        name: value
        for name, value in sorted(environment.items())
        if name.startswith(_DECIDING) and name not in _IGNORED
    }
    package = Path(emoact.__file__).parent
    code = sorted((os.fspath(p), p.stat().st_mtime_ns) for p in package.rglob("*.py"))
    libraries = versions("torch", "transformers", "transformer-lens", "numpy")
    facts = [program, sys.prefix, sys.version, libraries, settings, code, _umask()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def child_environment() -> dict[str, str]:
    """The environment of this process, with emoact importable from any working directory."""
    home = Path(emoact.__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    # An installed package is found anyway, and its neighbours must not come before the standard
    # library.
    if home.name not in ("site-packages", "dist-packages"):
        paths = [os.fspath(home), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment


def hosts_folder() -> Path:
    """The folder of all hosts of this user, cache and installation; it need not exist.

    Another copy or version of emoact has another folder: neither asks the other's hosts.
    """
    # A home folder may be shared by machines, which cannot reach each other's sockets.
    place = [platform.node(), os.fspath(Path(emoact.__file__).resolve().parent), __version__]
    folder = cache_root().absolute() / f"{_PREFIX}{_short(json.dumps(place))}"
    if len(os.fsencode(folder)) + 1 + _NAME_LENGTH + len("/socket") > _LONGEST_SOCKET:
        # Another cache may hold another conversion of the same model.
        name = f"emoact-{_PREFIX}{os.getuid()}-{_short(os.fspath(folder))}"
        folder = Path(tempfile.gettempdir()) / name
    return folder


def _short(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:8]


def new_folder() -> Path:
    """A new folder for one host; removes empty folders of hosts beside it.

    Raises:
        EmoactError: It cannot be made.
    """
    parent = hosts_folder()
    beside = parent.name.rpartition("-")[0] + "-*"
    for abandoned in parent.parent.glob(beside):
        # Removes an empty folder only.
        with suppress(OSError):
            abandoned.rmdir()
    for _ in range(_ATTEMPTS):
        private(parent)
        folder = parent / os.urandom(_NAME_LENGTH // 2).hex()
        try:
            folder.mkdir(mode=0o700)
        except FileNotFoundError:
            # Another process removed the folder while it was empty.
            continue
        except OSError as error:
            raise EmoactError(f"{folder} cannot be made: {error.strerror}") from error
        return folder
    raise EmoactError(f"{parent} is removed again and again")


def remove(folder: Path) -> None:
    """Remove the folder of a host that has ended, and that of all hosts where it is empty then."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def hosts() -> list[Path]:
    """Folders of the hosts that may be alive.

    Raises:
        EmoactError: The folder of hosts cannot be used.
    """
    parent, found = hosts_folder(), []
    if not os.path.lexists(parent):
        return []
    private(parent)
    for folder in sorted(parent.iterdir()):
        if (folder / "socket").exists():
            found.append(folder)
        else:
            with suppress(OSError):
                if folder.is_dir() and time.time() - folder.stat().st_mtime > _STALE_S:
                    # Killed before it listened.
                    remove(folder)
    return found


def private(folder: Path) -> None:
    """Make a folder that only its user may enter, or restrict an existing one to its user.

    Raises:
        EmoactError: It cannot be made, or it is a link, or it belongs to another user.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                raise EmoactError(
                    f"{folder} is not a folder of yours",
                    remedy="Remove it, or set EMOACT_CACHE to another folder.",
                ) from None
            if stat.S_IMODE(status.st_mode) & 0o077:
                folder.chmod(0o700)
    except OSError as error:
        raise EmoactError(
            f"{folder} cannot be made: {error.strerror}",
            remedy="Set EMOACT_CACHE to a folder that can be written.",
        ) from error


def listen(folder: Path) -> socket.socket:
    """The listening socket of a host; it appears under its name once it takes connections.

    Raises:
        OSError: It cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fspath(folder / "bound"))
        listener.listen(64)
        (folder / "bound").rename(folder / "socket")
    except OSError:
        listener.close()
        raise
    return listener


def connect(folder: Path, *, timeout_s: float) -> socket.socket | None:
    """A connection to a host; None where the host has ended, and its folder is then removed.

    Raises:
        EmoactError: The socket cannot be used, or a process of another user listens on it.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(max(timeout_s, 0.1))
    try:
        connection.connect(os.fspath(folder / "socket"))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        # Sockets take connections before they have this name, so the process has ended.
        remove(folder)
        return None
    except OSError as error:
        connection.close()
        raise EmoactError(f"{folder / 'socket'} cannot be used: {error.strerror}") from error
    if not is_own(connection):
        connection.close()
        raise EmoactError(f"another user's process listens on {folder / 'socket'}")
    return connection


def is_own(connection: socket.socket) -> bool:
    """True when the process at the other end runs as this user.

    Where the system does not tell (macOS), the mode of the folder is the only protection.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", credentials)[1]) == os.getuid()


def leave_others(own: Path | None = None) -> None:
    """Ask every other host to shut down once its present request is done.

    Each loaded model takes some hundred megabytes, so one at a time stays in memory.
    """
    refused = (OSError, EOFError, ValueError, EmoactError)
    with suppress(*refused):
        for folder in hosts():
            with suppress(*refused):
                connection = None if folder == own else connect(folder, timeout_s=1.0)
                if connection is not None:
                    with connection:
                        send(connection, {"request": "leave"})
                        receive(connection)


def send(
    connection: socket.socket,
    content: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Send one message; `OSError` if the connection is closed."""
    header, body = json.dumps(dict(content)).encode(), b""
    if arrays:
        from safetensors.numpy import save

        body = save(dict(arrays))
    lengths = len(header).to_bytes(8, "big") + len(body).to_bytes(8, "big")
    connection.sendall(lengths + header + body)


def receive(
    connection: socket.socket, *, limits: tuple[int, int] = ANSWER
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One message, of at most so many bytes of JSON and of arrays.

    Raises:
        EOFError: The connection was closed before the message was complete.
        ValueError: The bytes are no message, or the message is too long.
        OSError: The connection failed or timed out.
    """
    lengths = [int.from_bytes(_exactly(connection, 8), "big") for _ in limits]
    for length, longest in zip(lengths, limits, strict=True):
        if length > longest:
            raise ValueError(f"a message of {length:,} bytes; at most {longest:,} are read")
    header, body = (_exactly(connection, length) for length in lengths)
    try:
        content = json.loads(header)
    except RecursionError as error:
        raise ValueError("no message of emoact (nested too deeply)") from error
    if not isinstance(content, dict):
        raise ValueError("no message of emoact (no object)")  # noqa: TRY004
    return content, _arrays(body)


def _arrays(body: bytes) -> dict[str, np.ndarray]:
    if not body:
        return {}
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(body)
    except SafetensorError as error:
        raise ValueError(f"no message of emoact ({error})") from error


def _exactly(connection: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        part = connection.recv(min(length - len(received), 1 << 20))
        if not part:
            raise EOFError("the connection ended early")
        received += part
    return bytes(received)


def _umask() -> str:
    """Permissions that new files do not get; read where reading does not change them."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("Umask:"):
                return line
    return ""
