"""What was read from files, remembered while they stay the same."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from emoact.errors import RequestError

T = TypeVar("T")


class Remembered(Generic[T]):
    """A bounded memory of parsed files, by path, size, time and inode; safe between threads.

    A refused file is remembered too: a damaged one costs no more than a good one.
    """

    def __init__(self, capacity: int = 1000) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[str, tuple[tuple[int, ...], T | RequestError]] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, path: Path, read: Callable[[], T]) -> T:
        """What `read` gives for the file as it is now.

        Raises:
            RequestError: `read` raised it.
        """
        try:
            status = os.lstat(path)
        except OSError:
            return read()
        mark = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        key = os.fspath(path)
        with self._guard:
            known = self._entries.get(key)
        if known is not None and known[0] == mark:
            return _given(known[1])
        found: T | RequestError
        try:
            found = read()
        except RequestError as error:
            found = error
        with self._guard:
            self._entries[key] = (mark, found)
            self._entries.move_to_end(key)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        return _given(found)


def _given(found: T | RequestError) -> T:
    if isinstance(found, RequestError):
        raise found.with_traceback(None)
    return found
