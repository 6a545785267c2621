"""The fastest that this machine multiplies float32 matrices of a model's shapes."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch

_REPEATS = 15


@dataclass(frozen=True)
class Shape:
    """A linear layer: its inputs and outputs, and which of them lie next to each other in memory.

    The rate of its product depends on that too.
    """

    inputs: int
    outputs: int
    outputs_adjacent: bool


def linear_shapes(model: torch.nn.Module) -> Counter[Shape]:
    """Number of linear layers of each shape, without embeddings and unembedding."""
    counts: Counter[Shape] = Counter()
    body = getattr(model, "base_model", model)
    for module in body.modules():
        name = type(module).__name__
        if name in ("Linear", "Conv1D"):
            weight = module.get_parameter("weight")
            by_input = weight if name == "Conv1D" else weight.T
            inputs, outputs = by_input.shape
            counts[Shape(inputs, outputs, outputs_adjacent=by_input.stride(1) == 1)] += 1
    return counts


@torch.inference_mode()
def product_rate(
    shapes: Mapping[Shape, int], *, seconds: float, rows: int, device: str = "cpu"
) -> float:
    """GFLOP/s of torch's float32 products for a whole model, from the median time of each shape.

    It takes `seconds` in all, within one product of `rows` tokens.
    """
    work = taken = 0.0
    generator = torch.Generator().manual_seed(0)
    for shape, count in shapes.items():
        left = torch.randn(rows, shape.inputs, generator=generator).to(device)
        weight = torch.randn(shape.inputs, shape.outputs, generator=generator).to(device)
        if not shape.outputs_adjacent:
            weight = weight.T.contiguous().T
        bias = torch.zeros(shape.outputs, device=device)
        end = time.perf_counter() + seconds / len(shapes)
        times = list[float]()
        # The first product also touches its memory for the first time, so that it does not count.
        while len(times) < 2 or (len(times) <= _REPEATS and time.perf_counter() < end):
            began = time.perf_counter()
            torch.addmm(bias, left, weight)
            if device != "cpu":
                torch.accelerator.synchronize()
            times.append(time.perf_counter() - began)
        work += count * 2e-9 * rows * shape.inputs * shape.outputs
        taken += count * statistics.median(times[1:])
    return work / taken
