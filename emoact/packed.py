"""Very many rows of texts in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import SupportsIndex, TypeVar, overload

T = TypeVar("T")

_BETWEEN, _NONE = b"\xff", b"\xfe"
"""Bytes that no text in UTF-8 has."""


class Packed(Sequence[T]):
    """Rows in one buffer, made again each time that one is asked for.

    As objects rows take ten times as much, and each keeps the memory around it from being freed.

    Args:
        rows: Rows in their order; none is kept.
        write: The texts of a row.
        read: The row of these texts.
    """

    def __init__(
        self, rows: Iterable[T], write: Callable[[T], Iterable[str | None]], read: Callable[..., T]
    ) -> None:
        self._texts, self._edges, self._read = bytearray(), array("q", [0]), read
        for row in rows:
            self._texts += _BETWEEN.join(
                _NONE if text is None else text.encode("utf-8", "surrogatepass")
                for text in write(row)
            )
            self._edges.append(len(self._texts))

    def __len__(self) -> int:
        return len(self._edges) - 1

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Packed):
            return NotImplemented
        return self._edges == other._edges and self._texts == other._texts

    def __hash__(self) -> int:
        return hash(bytes(self._texts))

    @overload
    def __getitem__(self, row: SupportsIndex) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> list[T]: ...
    def __getitem__(self, row: SupportsIndex | slice) -> T | list[T]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        at = range(len(self))[row]
        texts = bytes(self._texts[self._edges[at] : self._edges[at + 1]]).split(_BETWEEN)
        return self._read(
            *(None if text == _NONE else text.decode("utf-8", "surrogatepass") for text in texts)
        )
