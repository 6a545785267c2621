"""Estimate of a run from token counts, model sizes and the rates of earlier runs."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emoact import numbers, sites
from emoact.errors import EmoactError
from emoact.jobs.config import Estimate, ModelEstimate, RunModel
from emoact.jobs.machine import cores, has_half
from emoact.jobs.rates import Rates, rate_key, read_rates
from emoact.models.tokenizer_file import count_tokens
from emoact.models.weights import BYTES, free_memory
from emoact.schema import ExtractionOptions
from emoact.store.atomic import free_bytes

_FLOPS_PER_CORE = 40e9
"""Multiplications and additions that a core of a laptop does in a second, for the first guess."""
_HALF = 8.0
"""Factor of the time in half precision on a processor without instructions for it, measured."""
_WRITING = 4.0
"""Factor by which a token takes longer where a response is written, for the first guess."""
_GUESSED_READY_S = 15.0
_WRITE_BYTES_PER_S = 200e6
_DOWNLOAD_BYTES_PER_S = 10e6
_CONVERT_S = 15.0
_PROCESS_BYTES = 700_000_000
"""A worker with torch and the model libraries, before any weight."""
_PASS_TOKENS = 512
_CHARACTERS_PER_TOKEN = 4.4
"""English prose with a vocabulary of 50,000; for counts that are marked as guessed."""
_SAMPLED = 1000
_READ_BYTES = 20_000_000
"""Largest tokenizer that is read for an estimate. One of 262,144 tokens (33 MB) takes 1.5 s, and
200 MB that the dashboard's process would keep."""


@dataclass(frozen=True, kw_only=True)
class ModelWork(RunModel):
    """Work of one model. `texts`: the prompts of each emotion that is not on disk yet."""

    directory: str | None
    texts: Mapping[str, Sequence[str]]


def estimate_run(
    work: Sequence[ModelWork],
    options: ExtractionOptions,
    *,
    results: str | os.PathLike[str],
    smaller: float = 1.0,
) -> Estimate:
    """Estimate for these models and options, with warnings where disk or memory is short.

    The files are `smaller` times smaller than float32.
    """
    rates = read_rates()
    estimated = [_model(one, options, rates, smaller) for one in work]
    models = [model for model, _ in estimated]
    disk = sum(model.disk_bytes for model in models)
    memory = max((model.memory_bytes for model in models), default=0)
    free = free_bytes(results), free_memory()
    # A unit is gathered in a file of its own before it becomes its file.
    peak_disk = disk + max((largest for _, largest in estimated), default=0)
    return Estimate(
        seconds=sum(model.prepare_s + model.extract_s for model in models),
        disk_bytes=disk,
        peak_disk_bytes=peak_disk,
        memory_bytes=memory,
        free_disk_bytes=free[0],
        free_memory_bytes=free[1],
        rate_source="guessed"
        if any(model.rate_source == "guessed" for model in models)
        else "measured",
        warnings=_warnings(peak_disk, memory, free[0], free[1]),
        models=tuple(models),
    )


def _model(
    work: ModelWork, options: ExtractionOptions, rates: Rates, smaller: float
) -> tuple[ModelEstimate, int]:
    """The model's estimate, and the bytes of its largest unit in memory."""
    n_tokens = largest = disk = 0
    counted = True
    for texts in work.texts.values():
        tokens = count_or_guess(work.directory, texts)
        counted = counted and tokens.counted
        bos = len(texts) if options.bos == "prepend" and options.chat is None else 0
        longer = options.generation.max_tokens if options.generation else 0
        # Each of n prompts has k more tokens: sum (t + k)^2 = sum t^2 + 2 k sum t + n k^2.
        more = len(texts) * longer + bos
        each = more // len(texts) if texts else 0
        total = tokens.total + more
        squared = tokens.total_squared + 2 * each * tokens.total + each * more
        size = unit_bytes(work, options, n_tokens=total, n_tokens_squared=squared)
        n_tokens, disk, largest = n_tokens + total, disk + size, max(largest, size)
    known = rates.models.get(rate_key(work.folder, options))
    n_parameters = work.n_parameters or 150_000_000
    speed = known.tokens_per_s if known else cores() * _FLOPS_PER_CORE / (2 * n_parameters)
    if known is None and options.dtype != "float32" and not has_half():
        speed /= _HALF
    if known is None and options.generation is not None:
        speed /= _WRITING
    waits = 0.0
    if work.texts:
        waits = known.ready_s if known else _GUESSED_READY_S
    if work.texts and work.needs is not None:
        waits += (work.download_bytes or 0) / _DOWNLOAD_BYTES_PER_S
        waits += 0.0 if work.needs == "download" else _CONVERT_S
    extract_s = n_tokens / speed
    if known is None:
        extract_s += disk / _WRITE_BYTES_PER_S
    estimated = ModelEstimate(
        folder=work.folder,
        n_samples=sum(len(texts) for texts in work.texts.values()),
        n_tokens=n_tokens,
        tokens_counted=counted,
        tokens_per_s=speed,
        rate_source="measured" if known else "guessed",
        prepare_s=waits,
        extract_s=extract_s,
        disk_bytes=math.ceil(disk / smaller),
        memory_bytes=_memory(work, options, n_parameters) if work.texts else 0,
    )
    return estimated, largest


def unit_bytes(
    work: ModelWork, options: ExtractionOptions, *, n_tokens: int, n_tokens_squared: int
) -> int:
    """Bytes of the arrays of one unit: float32, also where the model computes in half precision."""
    n_layers, d_model, n_heads = work.n_layers or 12, work.d_model or 768, work.n_heads or 12
    # A configuration does not always name the width of a head; d_model / n_heads is the usual one.
    d_head = d_model // n_heads
    values = 0
    for record in map(sites.site, options.sites):
        one = math.prod(record.array_shape(1, d_model=d_model, n_heads=n_heads, d_head=d_head))
        positions = n_tokens_squared if record.shape.count("pos") == 2 else n_tokens
        values += len(record.layer_range(n_layers)) * one * positions
    return 4 * values


def _memory(work: ModelWork, options: ExtractionOptions, n_parameters: int) -> int:
    # While weights are read, the file's pages and the model are both there.
    weights = 2 * n_parameters * BYTES[options.dtype]
    n_layers, d_model = work.n_layers or 12, work.d_model or 768
    passes = 2 * _PASS_TOKENS * d_model * 4 * max(n_layers * len(options.sites), 16)
    return _PROCESS_BYTES + weights + passes


def _warnings(
    peak_disk: int, memory: int, free_disk_bytes: int | None, free_memory_bytes: int | None
) -> tuple[str, ...]:
    warnings = []
    if free_disk_bytes is not None and peak_disk > free_disk_bytes:
        warnings.append(
            f"The results folder has {numbers.size(free_disk_bytes)} free; the run needs about "
            f"{numbers.size(peak_disk)}. Free some space or choose another results folder."
        )
    if free_memory_bytes is not None and memory > free_memory_bytes:
        warnings.append(
            f"{numbers.size(free_memory_bytes)} of memory are available; the run needs about "
            f"{numbers.size(memory)}. Close other programs or choose a smaller model."
        )
    return tuple(warnings)


@dataclass(frozen=True, kw_only=True)
class TokenCount:
    """Tokens of a list of texts, without BOS.

    Attributes:
        total_squared: Sum of the squares, which decides the size of attention patterns.
        counted: False when guessed from the characters.
    """

    total: int
    total_squared: int
    counted: bool


def count_or_guess(model_directory: str | None, texts: Sequence[str]) -> TokenCount:
    """Tokens of the texts; of more than a thousand, a thousand spread evenly stand for all."""
    sampled = tuple(texts[:: max(1, len(texts) // _SAMPLED)])
    lengths = None if model_directory is None else _counted(Path(model_directory), sampled)
    known = lengths or [round(len(text) / _CHARACTERS_PER_TOKEN) or 1 for text in sampled]
    scale = len(texts) / len(sampled) if sampled else 0.0
    return TokenCount(
        total=round(sum(known) * scale),
        total_squared=round(sum(length**2 for length in known) * scale),
        counted=lengths is not None,
    )


def _counted(directory: Path, texts: tuple[str, ...]) -> list[int] | None:
    """Tokens of each text, or None where no tokenizer is read."""
    path = directory / "tokenizer.json"
    try:
        stat = path.stat()
        if stat.st_size > _READ_BYTES:
            return None
        return _remembered(path, stat.st_mtime_ns, texts)
    except (OSError, EmoactError):
        return None


@functools.lru_cache(maxsize=32)
def _remembered(path: Path, mtime_ns: int, texts: tuple[str, ...]) -> list[int]:  # noqa: ARG001
    """Token counts, kept between clicks; a changed tokenizer is counted again."""
    return [int(length) for length in count_tokens(path, texts)]
