"""Events of a run: `events.jsonl`, one JSON object a line, appended to and never changed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from emoact.decode import decode, encode, parsed, read_regular, sealed, unsealed
from emoact.errors import RequestError
from emoact.files import sole
from emoact.store.atomic import write_error

_MAX_BYTES = 8_000_000
"""Later events are not read; a run writes a few hundred lines."""

EventKind = Literal[
    "started",
    "turn",
    "step",
    "unit_planned",
    "unit_started",
    "unit_progress",
    "unit_saved",
    "unit_skipped",
    "made",
    "note",
    "ended",
]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of `events.jsonl`.

    Attributes:
        at: ISO 8601 wall-clock time, for people; durations come from `elapsed_s`.
        elapsed_s: Working seconds of this attempt, by a clock that never jumps.
    """

    kind: EventKind
    at: str
    attempt: int
    elapsed_s: float
    fields: Mapping[str, Any] = field(default_factory=dict)

    def to_line(self) -> bytes:
        """One line of JSON, ending in a newline."""
        rounded = dataclasses.replace(self, elapsed_s=round(self.elapsed_s, 3))
        return json.dumps(sealed(encode(rounded))).encode() + b"\n"


def read_events(path: Path) -> tuple[Event, ...]:
    """The events of a file; damaged lines, and one that has no end yet, are passed over.

    Raises:
        RequestError: The file is missing or cannot be read.
    """
    return tuple(event for event in _lines(path) if event is not None)


def damaged_lines(path: Path) -> list[int]:
    """Numbers of the lines that are no events, or not as written; raises as `read_events`."""
    return [number for number, event in enumerate(_lines(path), start=1) if event is None]


def _lines(path: Path) -> Iterator[Event | None]:
    data = read_regular(path, limit=_MAX_BYTES)
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        found = None
        with contextlib.suppress(ValueError, RequestError):
            fields, whole = unsealed(parsed(line))
            found = decode(Event, fields) if whole else None
        yield found


class EventLog:
    """The end of `events.jsonl` that the worker writes to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = sole(os.open(path, flags, 0o666), path)
            # A worker that was killed may have left a line without its end.
            self._size = _whole_lines(self._descriptor)
            os.ftruncate(self._descriptor, self._size)
        except OSError as error:
            raise write_error(error, path=path) from error

    def append(self, event: Event) -> None:
        """Add one line, whole or not at all; `EmoactError` if the disk is full or broken."""
        line = event.to_line()
        try:
            written = 0
            while written < len(line):
                written += os.pwrite(self._descriptor, line[written:], self._size + written)
            self._size += len(line)
        except BaseException as error:
            os.ftruncate(self._descriptor, self._size)
            if isinstance(error, OSError):
                raise write_error(error, path=self._path, need=len(line)) from error
            raise

    def is_in_place(self) -> bool:
        """False once the file was removed or its folder was moved."""
        try:
            there = self._path.stat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _whole_lines(descriptor: int) -> int:
    """Length of the file up to its last newline."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - 65_536)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
