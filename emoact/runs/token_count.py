"""How many tokens prompts have, counted without torch, or guessed where there is no tokenizer."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHARACTERS_PER_TOKEN = 4.4
"""Of English prose with a vocabulary of 50,000; for a guess that says that it is one."""
_SAMPLED = 1000


@dataclass(frozen=True, kw_only=True)
class TokenCount:
    """Tokens of a list of texts, without BOS.

    Attributes:
        total: Over all texts.
        total_squared: Sum of the squares, which decides the size of attention patterns.
        counted: False when guessed from the characters.
    """

    total: int
    total_squared: int
    counted: bool


def count_tokens(model_directory: str | None, texts: Sequence[str]) -> TokenCount:
    """Tokens of the texts; of more than a thousand, a thousand spread evenly stand for all."""
    step = max(1, len(texts) // _SAMPLED)
    sampled = texts[::step]
    tokenizer = None if model_directory is None else _tokenizer(Path(model_directory))
    if tokenizer is None:
        lengths = [round(len(text) / _CHARACTERS_PER_TOKEN) or 1 for text in sampled]
    else:
        encoded = tokenizer.encode_batch_fast(list(sampled), add_special_tokens=False)
        lengths = [len(one.ids) for one in encoded]
    scale = len(texts) / len(sampled) if sampled else 0.0
    return TokenCount(
        total=round(sum(lengths) * scale),
        total_squared=round(sum(length**2 for length in lengths) * scale),
        counted=tokenizer is not None,
    )


def _tokenizer(directory: Path) -> Any:
    path = directory / "tokenizer.json"
    try:
        return _load(path, path.stat().st_mtime_ns)
    except OSError:
        return None


@functools.lru_cache(maxsize=8)
def _load(path: Path, mtime_ns: int) -> Any:  # noqa: ARG001  a changed file is another entry
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    # The library raises bare `Exception` for every damaged file; a guess is good enough then.
    except Exception:  # noqa: BLE001
        return None
