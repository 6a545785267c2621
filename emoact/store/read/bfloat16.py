"""bfloat16 values, which numpy lacks: the upper half of a float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32, UInt16


class BFloat16Array:
    """A read-only view of bfloat16 values, widened only where somebody looks.

    Args:
        bits: The bit patterns.
    """

    __slots__ = ("bits",)

    def __init__(self, bits: UInt16[np.ndarray, "..."]) -> None:
        self.bits = bits

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return self.bits.shape

    @property
    def ndim(self) -> int:
        """As of an array."""
        return self.bits.ndim

    @property
    def nbytes(self) -> int:
        """Bytes of the bfloat16 values, not of their float32 copy."""
        return self.bits.nbytes

    @property
    def dtype_name(self) -> str:
        """Always `bfloat16`."""
        return "bfloat16"

    def float32(self) -> Float32[np.ndarray, "..."]:
        """A float32 array with exactly these values.

        Source: bfloat16 is float32 without its lower 16 bits of significand.
        """
        wide: np.ndarray[Any, np.dtype[Any]] = self.bits.astype(np.uint32)
        return (wide << np.uint32(16)).view(np.float32)
