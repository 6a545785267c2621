"""From a path to the value in its pickle, without running anything of it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoact.errors import FileRefusedError
from emoact.store.read.limits import Limits
from emoact.store.read.machine import Machine, run
from emoact.store.read.opcodes import HANDLERS
from emoact.store.read.refusal import RESAVE, Refused
from emoact.store.read.regular_file import check_format, map_file
from emoact.store.read.resolve import Resolver


@dataclass(frozen=True, kw_only=True)
class MappedFile:
    """A regular file in memory, mapped and not read.

    Attributes:
        path: As it was given.
        data: Its bytes.
    """

    path: Path
    data: memoryview


def map_path(path: str | os.PathLike[str]) -> MappedFile:
    """The file at a path.

    Raises:
        FileRefusedError: It is not a regular file, is empty, or cannot be opened.
    """
    with refusing(path):
        return MappedFile(path=Path(path), data=map_file(Path(path)))


def interpret(file: MappedFile) -> Any:
    """The value of the pickle in a file.

    Raises:
        FileRefusedError: It holds anything beside plain values, numpy arrays and CPU tensors.
    """
    with refusing(file.path), _no_collection():
        check_format(file.data)
        limits = Limits.for_size(file.data.nbytes)
        machine = Machine(file.data, limits)
        value = run(machine, HANDLERS)
        del machine  # its memo is no longer needed, and can be as large as the value
        return Resolver(file.data, limits).resolve(value)


@contextmanager
def _no_collection() -> Iterator[None]:
    # A million new containers and no garbage: the collector would look at all of them repeatedly.
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def load_closed(path: str | os.PathLike[str]) -> Any:
    """The value of a pickle: plain Python values and read-only views of the mapped file.

    Tensors arrive as numpy arrays, bfloat16 ones as `BFloat16Array`.

    Raises:
        FileRefusedError: The file is not a regular one, or holds anything beside plain values,
            numpy arrays and CPU tensors.
    """
    return interpret(map_path(path))


@contextmanager
def refusing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Whatever goes wrong inside is said of the file at `path`.

    Raises:
        FileRefusedError: In place of every refusal, and of every error that a file may provoke.
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
        # No stream is known to come here; one that does is refused like the others.
        raise FileRefusedError(
            f"malformed in an unforeseen way ({type(error).__name__}: {error})",
            path=str(path),
            remedy=RESAVE,
        ) from error
