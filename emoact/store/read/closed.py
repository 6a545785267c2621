"""Value of a pickle file, read without executing any of it."""

from __future__ import annotations

import errno
import gc
import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emoact.errors import FileRefusedError
from emoact.files import open_regular
from emoact.store.read.limits import RESAVE, Limits, Refused
from emoact.store.read.machine import Machine, run
from emoact.store.read.opcodes import HANDLERS
from emoact.store.read.resolve import Resolver

_PLAIN = "Save the dict itself with pickle.dump(data, file, protocol=4)."
_LEGACY_TORCH = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20"
_ZIP = b"PK\x03\x04"
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "compressed with gzip", "Decompress it first: gunzip."),
    (b"BZh", "compressed with bzip2", "Decompress it first: bunzip2."),
    (b"\xfd7zXZ\x00", "compressed with xz", "Decompress it first: unxz."),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "Decompress it first: unzstd."),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "Decompress it first: unlz4."),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it first."),
    (b"\x93NUMPY", "a numpy .npy file", _PLAIN),
    (b"\x89HDF", "an HDF5 file", _PLAIN),
    (b"PAR1", "a Parquet file", _PLAIN),
    (_LEGACY_TORCH, "saved with torch.save (the old format)", _PLAIN),
)


def map_file(path: str | os.PathLike[str]) -> memoryview:
    """Bytes of a regular file, mapped read-only; nothing is read yet.

    The map lives as long as the view and all slices of it.

    Raises:
        FileRefusedError: The path is not a regular file, cannot be opened, or is empty.
    """
    with refusing(path):
        return _map(Path(path))


def _map(path: Path) -> memoryview:
    try:
        with open_regular(path, follow=False) as file:
            if not os.fstat(file.fileno()).st_size:
                raise Refused("the file is empty", remedy="Copy the file again, or make it again.")
            # Python 3.13 can close the descriptor; before it every mapped file holds one.
            options = {"trackfd": False} if sys.version_info >= (3, 13) else {}
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, **options))
    except OSError as error:
        said = error.strerror or str(error)
        remedy = {
            errno.EMFILE: "Raise the limit (ulimit -n) or read fewer files.",
            errno.EINVAL: "Give the file itself.",
            errno.ELOOP: "Give the file that it points to.",
        }.get(error.errno or 0, "Check path and permissions.")
        reason = said if said.startswith("it is") else f"it cannot be opened: {said}"
        raise Refused(reason, remedy=remedy) from error


def check_format(data: memoryview) -> None:
    """Refuse a file that is not a pickle of protocol 2 to 5, and name its format.

    Raises:
        Refused: The first bytes are those of another format.
    """
    head = bytes(data[:64])
    for magic, name, remedy in _MAGIC:
        if head.startswith(magic):
            raise Refused(f"it is {name}", remedy=remedy, offset=0)
    if head.startswith(_ZIP):
        raise _zip(head)
    if not head.startswith(b"\x80"):
        raise Refused("it does not begin like a pickle of protocol 2 to 5", remedy=_PLAIN, offset=0)


def _zip(head: bytes) -> Refused:
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if b"data.pkl" in name or name.endswith((b"/version", b"/byteorder", b"/.format_version")):
        return Refused(
            "saved with torch.save",
            remedy="Load it where you trust it and re-save it with pickle.dump(data, file).",
            offset=0,
        )
    if name.endswith(b".npy"):
        return Refused("it is a numpy .npz file", remedy=_PLAIN, offset=0)
    return Refused("it is a zip archive", remedy="Unpack it first.", offset=0)


def interpret(data: memoryview, path: str | os.PathLike[str]) -> Any:
    """Value of a pickle: plain Python values and read-only views of the data.

    Tensors arrive as numpy arrays, bfloat16 ones as `BFloat16Array`.

    Raises:
        FileRefusedError: The file holds other values than plain ones, numpy arrays and CPU tensors.
    """
    with refusing(path), _no_collection():
        check_format(data)
        limits = Limits.for_size(data.nbytes)
        machine = Machine(data, limits)
        value = run(machine, HANDLERS)
        del machine  # the memo can be as large as the value
        return Resolver(data, limits).resolve(value)


@contextmanager
def _no_collection() -> Iterator[None]:
    # A million new containers without garbage: each collection would scan all of them.
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def load_closed(path: str | os.PathLike[str]) -> Any:
    """Value of the pickle at a path; its arrays are read-only views of the mapped file.

    Raises:
        FileRefusedError: The file is not regular, or holds other values than plain ones, numpy
            arrays and CPU tensors.
    """
    return interpret(map_file(path), path)


@contextmanager
def refusing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn every refusal, and every error that a file can cause, into one that names `path`.

    Raises:
        FileRefusedError: In place of these errors.
    """
    try:
        yield
    except Refused as refusal:
        raise FileRefusedError(
            refusal.reason, path=str(path), offset=refusal.offset, remedy=refusal.remedy or None
        ) from refusal
    except MemoryError as error:
        raise FileRefusedError(
            "there is not enough memory to read it",
            path=str(path),
            remedy="Close other programs, or read it on a machine with more memory.",
        ) from error
    except (
        ArithmeticError,
        AttributeError,
        BufferError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        # No known stream causes these errors; one that does is refused.
        raise FileRefusedError(
            f"the file is malformed ({type(error).__name__}: {error})",
            path=str(path),
            remedy=RESAVE,
        ) from error
