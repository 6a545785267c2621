"""The faster of two exact ways to multiply float32 matrices, found by trying.

torch routes float32 products on a CPU to MKL or, when it may lower the precision, to oneDNN. On
processors without matrix units oneDNN keeps true float32 all the same and can be the faster one; on
others it computes in bfloat16. So the error is measured too, and only true float32 is used.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from emoact.errors import EmoactError
from emoact.models.cache import cache_root
from emoact.runs.machine import machine_id
from emoact.store.atomic import write_json

Kernel = Literal["highest", "medium"]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)

EXACT = 5e-6
"""Largest error of a product that counts as float32: it rounds at 6e-7, TF32 at 2e-4."""
_GAIN = 1.05
"""How much faster the other path has to be; less than that is noise."""
_SECONDS = 0.8
_REPEATS = 15
_ROWS = 224

Shape = tuple[int, int]
"""(inputs, outputs) of a linear layer."""


@dataclass(frozen=True, kw_only=True)
class KernelChoice:
    """Which path, and on what evidence.

    Attributes:
        kernel: torch's name of the precision that leads to it.
        reason: One sentence.
        gflops: Rate of each path at the model's shapes.
        errors: Largest relative error of a row against float64, of each path.
    """

    kernel: Kernel
    reason: str
    gflops: Mapping[str, float]
    errors: Mapping[str, float]


@contextmanager
def float32_kernel(kernel: Kernel) -> Iterator[None]:
    """Multiply float32 matrices that way within the block; torch's setting is global."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(kernel)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def linear_shapes(model: torch.nn.Module) -> dict[Shape, int]:
    """How often each shape of a linear layer occurs, embeddings and unembedding left out."""
    counts: dict[Shape, int] = {}
    body = getattr(model, "base_model", model)
    for module in body.modules():
        weight = getattr(module, "weight", None)
        name = type(module).__name__
        if name not in ("Linear", "Conv1D") or not isinstance(weight, torch.Tensor):
            continue
        inputs, outputs = weight.shape if name == "Conv1D" else weight.shape[::-1]
        counts[inputs, outputs] = counts.get((inputs, outputs), 0) + 1
    return counts


def choose_kernel(shapes: Mapping[Shape, int]) -> KernelChoice:
    """The faster exact path at these shapes; measured once per machine, torch and thread count."""
    path = _cache_path(shapes)
    known = _read(path)
    if known is not None:
        return known
    choice = decide(*measure(shapes))
    # A folder that cannot be written costs a second at the next start, nothing else.
    with suppress(EmoactError, OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(choice))
    return choice


def decide(gflops: Mapping[str, float], errors: Mapping[str, float]) -> KernelChoice:
    """What the measurements of `measure` mean."""
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


@torch.inference_mode()
def measure(
    shapes: Mapping[Shape, int], *, rows: int = _ROWS, seconds: float = _SECONDS
) -> tuple[dict[str, float], dict[str, float]]:
    """Rate in GFLOP/s and error of each path, at these shapes as often as they occur.

    Args:
        shapes: Shapes and their counts.
        rows: Tokens of a pass.
        seconds: Most time to spend, give or take one product.
    """
    times: dict[str, float] = dict.fromkeys(KERNELS, 0.0)
    errors: dict[str, float] = dict.fromkeys(KERNELS, 0.0)
    work = 0.0
    generator = torch.Generator().manual_seed(0)
    for (inputs, outputs), count in shapes.items():
        left = torch.randn(rows, inputs, generator=generator)
        weight = torch.randn(outputs, inputs, generator=generator)
        samples = _alternating(left, weight, seconds=seconds / len(shapes), errors=errors)
        for kernel in KERNELS:
            times[kernel] += count * statistics.median(samples[kernel])
        work += count * 2.0 * rows * inputs * outputs
    return {name: work / took / 1e9 if took else 0.0 for name, took in times.items()}, errors


def _alternating(
    left: torch.Tensor, weight: torch.Tensor, *, seconds: float, errors: dict[str, float]
) -> dict[Kernel, list[float]]:
    exact = left[:16].double() @ weight.double().T
    samples: dict[Kernel, list[float]] = {kernel: [] for kernel in KERNELS}
    end = time.perf_counter() + seconds
    for repeat in range(_REPEATS + 1):
        for kernel in KERNELS:
            with float32_kernel(kernel):
                began = time.perf_counter()
                product = torch.nn.functional.linear(left, weight)
                took = time.perf_counter() - began
            if repeat == 0:
                gap = (product[:16].double() - exact).norm(dim=1) / exact.norm(dim=1)
                errors[kernel] = max(errors[kernel], float(gap.max()))
            else:
                samples[kernel].append(took)
        if repeat and time.perf_counter() > end:
            break
    return samples


def _cache_path(shapes: Mapping[Shape, int]) -> Path:
    facts: Sequence[Any] = (
        machine_id(),
        torch.__version__,
        torch.get_num_threads(),
        sorted([*shape, count] for shape, count in shapes.items()),
    )
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
    return cache_root() / "kernels" / f"{name}.json"


def _read(path: Path) -> KernelChoice | None:
    try:
        choice = KernelChoice(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return choice if choice.kernel in KERNELS else None
