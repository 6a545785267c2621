"""How many tokens prompts have, counted without torch, or guessed where there is no tokenizer."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emoact.data.token_counts import count_tokens
from emoact.errors import EmoactError

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
    """Tokens of each text, or None where there is no tokenizer that can be read."""
    path = directory / "tokenizer.json"
    try:
        return _remembered(path, path.stat().st_mtime_ns, texts)
    except (OSError, EmoactError):
        return None


@functools.lru_cache(maxsize=32)
def _remembered(path: Path, mtime_ns: int, texts: tuple[str, ...]) -> list[int]:  # noqa: ARG001
    """A page asks for the same texts at every click; a changed tokenizer is another entry."""
    return [int(length) for length in count_tokens(path, texts)]
