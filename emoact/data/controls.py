"""Derived data sets: the tokens of prompts without context, and their words without order.

A direction that both still hold is about words and not about what is said with them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from emoact.positions import Span

Ids = Int64[np.ndarray, "_"]

DERIVATION = 1
"""Version of the derivation; another one has other texts, so that saved vectors do not fit."""

MOST_DRAWS = 100_000
"""Most draws of any kind; of ten times as many those of a wide model do not fit into memory."""

LEAST_SHUFFLES = 20
"""Fewer shuffles say too little about the spread of what is left without word order."""


def lone_tokens(prompts: Sequence[Ids], content: Sequence[Span]) -> list[Ids]:
    """Every distinct content token by itself, behind what stands before the content.

    Without BOS a token stands alone.
    """
    distinct = {
        int(token)
        for ids, (start, stop) in zip(prompts, content, strict=True)
        for token in ids[start:stop]
    }
    before = prompts[0][: content[0][0]]
    return [np.append(before, token).astype(np.int64) for token in sorted(distinct)]


def shuffle_words(text: str, *, prompt_id: str, number: int, seed: int) -> str:
    """The whitespace-separated words of a prompt in a random order.

    Every order is equally likely, the original one included. It depends on the arguments alone, and
    not on the label, on other prompts or on a library's random generator. Punctuation stays with
    its word.
    """
    words = text.split()

    def rank(position: int) -> bytes:
        drawn = json.dumps([seed, prompt_id, text, number, position])
        return hashlib.sha256(drawn.encode()).digest()

    return " ".join(words[position] for position in sorted(range(len(words)), key=rank))


def count_one_word(texts: Sequence[str]) -> int:
    """Number of prompts whose only shuffle is the prompt itself."""
    return sum(len(text.split()) < 2 for text in texts)
