"""GGUF file: header and tensors, read without all of its weights in memory at once."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, SupportsInt

import numpy as np
from gguf import GGUFReader, GGUFValueType, dequantize

AT_ONCE = 16_000_000
"""Values of the embedding that are dequantised at once: 64 MB of float32."""


class GgufFile(GGUFReader):
    """Reader of a GGUF file that is fast on long arrays.

    The library's reader makes several memory maps for each element of an array: ten seconds and
    700 MB for a vocabulary of 262,144 tokens.
    """

    def _get_field_parts(
        self, orig_offs: SupportsInt, raw_type: SupportsInt
    ) -> tuple[int, list[Any], list[int], list[GGUFValueType]]:
        offset = int(orig_offs)
        if self.byte_order != "I":
            raise ValueError("a file of another byte order is not supported")
        if raw_type != GGUFValueType.ARRAY:
            found: tuple[int, list[Any], list[int], list[GGUFValueType]]
            found = super()._get_field_parts(offset, int(raw_type))
            return found
        kind = GGUFValueType(int(self._get(offset, np.uint32)[0]))
        length = int(self._get(offset + 4, np.uint64)[0])
        start = offset + 12
        # Otherwise memory for each of 2⁶² elements would be asked for.
        if length > len(self.data) - start:
            raise ValueError(f"an array of {length:,} elements is longer than the file")
        if kind == GGUFValueType.STRING:
            values, end = self._strings(start, length)
        elif kind in self.gguf_scalar_to_np:
            numbers = np.asarray(self._get(start, self.gguf_scalar_to_np[kind], length))
            values, end = list(numbers.reshape(-1, 1)), start + numbers.nbytes
        else:
            raise ValueError(f"an array of {kind.name} within an array is not supported")
        return end - offset, values, list(range(length)), [GGUFValueType.ARRAY, kind]

    def _strings(self, start: int, length: int) -> tuple[list[Any], int]:
        plain: Any = np.asarray(self.data)
        values = []
        for _ in range(length):
            (size,) = struct.unpack_from("=Q", plain, start)
            values.append(plain[start + 8 : start + 8 + size])
            start += 8 + size
        return values, start


def blocks(tensor: Any) -> Iterator[np.ndarray]:
    """Values of a tensor of a `GGUFReader` in float32.

    The embedding of a large vocabulary comes in blocks of rows, any other tensor in one block.
    """
    rows, step = tensor.data, len(tensor.data)
    if tensor.name == "token_embd.weight":
        step = max(1, AT_ONCE // int(tensor.shape[0]))
    for start in range(0, len(rows), step):
        yield dequantize(rows[start : start + step], tensor.tensor_type)
