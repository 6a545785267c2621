"""Choice of the faster exact kernel for float32 products, by measurement.

torch routes float32 products on a CPU to MKL or, when it may lower the precision, to oneDNN. On
processors without matrix units oneDNN keeps true float32 all the same and can be the faster one; on
others it computes in bfloat16. So the error is measured too, and only true float32 is used.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from emoact.errors import EmoactError
from emoact.jobs.machine import machine_id
from emoact.models.cache import cache_root
from emoact.store.atomic import write_json

Kernel = Literal["highest", "medium"]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)

EXACT = 5e-6
"""Largest error of a product that counts as float32: it rounds at 6e-7, TF32 at 2e-4."""
_GAIN = 1.1
"""Least ratio of rates at which the other kernel is used; smaller ratios are noise."""
_SECONDS = 0.8
_REPEATS = 15
_ROWS = 224


@dataclass(frozen=True, order=True)
class Shape:
    """A linear layer: its inputs and outputs, and which of them lie next to each other in memory.

    Which path is the faster one depends on that too.
    """

    inputs: int
    outputs: int
    outputs_adjacent: bool


@dataclass(frozen=True, kw_only=True)
class KernelChoice:
    """A kernel with the measurements behind its choice.

    Attributes:
        kernel: Value of `torch.set_float32_matmul_precision`.
        reason: One sentence.
        gflops: Rate of each kernel at the model's shapes.
        errors: Largest relative error of a row against float64, by kernel.
    """

    kernel: Kernel
    reason: str
    gflops: Mapping[str, float]
    errors: Mapping[str, float]


@contextmanager
def float32_kernel(kernel: Kernel) -> Iterator[None]:
    """Use a kernel within the block; torch's setting is global."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(kernel)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def linear_shapes(model: torch.nn.Module) -> dict[Shape, int]:
    """Number of linear layers of each shape, without embeddings and unembedding."""
    counts: dict[Shape, int] = {}
    body = getattr(model, "base_model", model)
    for module in body.modules():
        weight = getattr(module, "weight", None)
        name = type(module).__name__
        if name not in ("Linear", "Conv1D") or not isinstance(weight, torch.Tensor):
            continue
        by_input = weight if name == "Conv1D" else weight.T
        inputs, outputs = by_input.shape
        shape = Shape(inputs, outputs, outputs_adjacent=by_input.stride(1) == 1)
        counts[shape] = counts.get(shape, 0) + 1
    return counts


def choose_kernel(shapes: Mapping[Shape, int]) -> KernelChoice:
    """The faster exact path at these shapes; measured once per machine, torch and thread count."""
    path = _cache_path(shapes)
    known = _read(path)
    if known is not None:
        return known
    found = measure(shapes)
    # Other work of the machine only slows products down, so the minimum is the best estimate.
    choice = decide(found.rates(min), found.errors)
    # Without the cache file the next start measures again, which takes a second.
    with suppress(EmoactError, OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(choice))
    return choice


def decide(gflops: Mapping[str, float], errors: Mapping[str, float]) -> KernelChoice:
    """The kernel to use, from rates and errors of `measure`."""
    kernel: Kernel = "highest"
    if not errors["medium"] <= EXACT:
        reason = f"oneDNN's products are not true float32 (error {errors['medium']:.1g})"
    elif gflops["medium"] < _GAIN * gflops["highest"]:
        reason = "oneDNN is not faster than the default at this model's shapes"
    else:
        kernel = "medium"
        gain = gflops["medium"] / gflops["highest"]
        reason = f"oneDNN is {gain:.2f} times as fast and true float32"
    return KernelChoice(kernel=kernel, reason=reason, gflops=gflops, errors=errors)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Products of every shape by every kernel.

    Attributes:
        shapes: How often a model has each shape.
        rows: Tokens that were multiplied at once.
        seconds: Time of each repetition.
        errors: Largest relative error of a row against float64, of each kernel.
    """

    shapes: Mapping[Shape, int]
    rows: int
    seconds: Mapping[tuple[Kernel, Shape], Sequence[float]]
    errors: Mapping[str, float]

    def rates(self, typical: Callable[[Sequence[float]], float]) -> dict[str, float]:
        """GFLOP/s of each kernel for a whole model, `typical` of the repetitions."""
        return {kernel: self._rate([kernel], typical) for kernel in KERNELS}

    def best_rate(self, typical: Callable[[Sequence[float]], float]) -> float:
        """GFLOP/s for a whole model if each shape took its faster kernel."""
        return self._rate(KERNELS, typical)

    def _rate(
        self, kernels: Sequence[Kernel], typical: Callable[[Sequence[float]], float]
    ) -> float:
        work = seconds = 0.0
        for shape, count in self.shapes.items():
            work += count * 2e-9 * self.rows * shape.inputs * shape.outputs
            seconds += count * min(typical(self.seconds[kernel, shape]) for kernel in kernels)
        return work / seconds


@torch.inference_mode()
def measure(
    shapes: Mapping[Shape, int], *, rows: int = _ROWS, seconds: float = _SECONDS
) -> Measured:
    """Time products of these shapes, the kernels in turn.

    Args:
        shapes: Shapes and their counts; at least one.
        rows: Tokens of a pass.
        seconds: Largest total time, within one product.
    """
    taken: dict[tuple[Kernel, Shape], list[float]] = {
        (kernel, shape): [] for kernel in KERNELS for shape in shapes
    }
    errors: dict[str, float] = dict.fromkeys(KERNELS, 0.0)
    generator = torch.Generator().manual_seed(0)
    for shape in shapes:
        left = torch.randn(rows, shape.inputs, generator=generator)
        weight = torch.randn(shape.inputs, shape.outputs, generator=generator)
        if not shape.outputs_adjacent:
            weight = weight.T.contiguous().T
        bias = torch.zeros(shape.outputs)
        exact = left[:16].double() @ weight.double()
        end = time.perf_counter() + seconds / len(shapes)
        for repeat in range(_REPEATS + 1):
            for kernel in KERNELS:
                with float32_kernel(kernel):
                    began = time.perf_counter()
                    product = torch.addmm(bias, left, weight)
                    took = time.perf_counter() - began
                if repeat == 0:
                    gap = (product[:16].double() - exact).norm(dim=1) / exact.norm(dim=1)
                    errors[kernel] = max(errors[kernel], float(gap.max()))
                else:
                    taken[kernel, shape].append(took)
            if repeat and time.perf_counter() > end:
                break
    return Measured(shapes=dict(shapes), rows=rows, seconds=taken, errors=errors)


def _cache_path(shapes: Mapping[Shape, int]) -> Path:
    facts: Sequence[Any] = (
        machine_id(),
        torch.__version__,
        torch.get_num_threads(),
        sorted([*astuple(shape), count] for shape, count in shapes.items()),
    )
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
    return cache_root() / "kernels" / f"{name}.json"


def _read(path: Path) -> KernelChoice | None:
    try:
        choice = KernelChoice(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return choice if choice.kernel in KERNELS else None
