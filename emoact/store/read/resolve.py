"""Finished value: every cell replaced by its result, and the size of the value counted.

A small file can hold a huge value: lists that hold the same list twice, ten levels deep, are a
thousand lists to a reader. Shared values are therefore counted each time they are reached.
"""

from __future__ import annotations

from collections import OrderedDict
from types import NoneType
from typing import Any, NamedTuple

import numpy as np

from emoact.store.read.limits import MAX_DEPTH, MAX_TEXT_BYTES, Limits, Refused
from emoact.store.read.machine import decode
from emoact.store.read.numpy_values import check_values
from emoact.store.read.tokens import ArrayCell, BFloat16Array, DTypeCell, Text

_NUMBERS = frozenset({int, float, bool, NoneType})
_CONTAINERS = frozenset({list, tuple, dict, OrderedDict})


class _Seen(NamedTuple):
    original: Any  # kept alive, so that no other container gets its id
    value: Any
    nodes: int
    reached: int
    height: int


class Resolver:
    """Replacement of cells, in place."""

    def __init__(self, data: memoryview, limits: Limits) -> None:
        self._data = data
        self._limits = limits
        self._seen: dict[int, _Seen | None] = {}
        self._nodes = 0
        self._reached = 0
        self._height = 0

    def resolve(self, value: Any) -> Any:
        """Value with every cell replaced.

        Raises:
            Refused: It holds a part that is not a value, or is too large or too deep.
        """
        return self._value(value, 1)

    def _value(self, value: Any, depth: int) -> Any:
        kind = type(value)
        self._nodes += 1
        if kind in _NUMBERS:
            return value
        if kind is str:
            self._reached += len(value)
            return value
        if kind is ArrayCell:
            value = value.array
            if value is None:
                raise Refused("a numpy array without a state")
            kind = np.ndarray
        if kind is np.ndarray:
            self._count(value.nbytes)
            if value.dtype.kind in "Ub":
                check_values(value)
            return value
        if kind in _CONTAINERS:
            return self._container(value, depth)
        return self._rare(value)

    def _rare(self, value: Any) -> Any:
        if isinstance(value, BFloat16Array):
            self._count(2 * value.nbytes)
            return value
        if isinstance(value, np.generic):
            return value
        if isinstance(value, Text):
            if value.length > MAX_TEXT_BYTES:
                raise Refused(f"a text of {value.length:,} bytes; at most {MAX_TEXT_BYTES:,}")
            self._count(value.length)
            if value.value is None:
                value.value = decode(self._data[value.start : value.start + value.length])
            return value.value
        if isinstance(value, memoryview):
            self._count(value.nbytes)
            return bytes(value)
        if isinstance(value, DTypeCell) and value.dtype is not None:
            return value.dtype
        raise Refused("a class, a function or an unfinished value in place of a value")

    def _count(self, length: int) -> None:
        self._reached += length
        self._check()

    def _check(self) -> None:
        if self._reached > self._limits.reached_bytes or self._nodes > self._limits.nodes:
            raise Refused(
                "the value is far larger than its file, because parts of it are repeated",
                remedy="Save each array once, as a contiguous copy (tensor.clone(), array.copy()).",
            )

    def _container(self, value: Any, depth: int) -> Any:
        identity = id(value)
        if identity in self._seen:
            return self._again(self._seen[identity], depth)
        if depth >= MAX_DEPTH:
            raise Refused(f"containers nested more than {MAX_DEPTH} deep")
        if len(self._seen) >= self._limits.containers:
            raise Refused("more lists, dicts and tuples than a file of this size can need")
        self._seen[identity] = None
        nodes, reached, height, self._height = self._nodes, self._reached, self._height, 0
        result = self._fill(value, depth + 1)
        self._seen[identity] = _Seen(
            value, result, self._nodes - nodes, self._reached - reached, self._height + 1
        )
        self._height = max(height, self._height + 1)
        self._check()
        return result

    def _again(self, seen: _Seen | None, depth: int) -> Any:
        if seen is None:
            raise Refused("a list or dict that contains itself")
        if depth + seen.height > MAX_DEPTH:
            raise Refused(f"containers nested more than {MAX_DEPTH} deep")
        self._nodes += seen.nodes
        self._reached += seen.reached
        self._height = max(self._height, seen.height)
        self._check()
        return seen.value

    def _fill(self, value: Any, depth: int) -> Any:
        if type(value) is list:
            for at, item in enumerate(value):
                value[at] = self._value(item, depth)
            return value
        if type(value) is tuple:
            return tuple([self._value(item, depth) for item in value])
        for key, item in value.items():
            self._reached += len(key) if type(key) is str else 0
            value[key] = self._value(item, depth)
        return value
