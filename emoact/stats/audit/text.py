"""Texts of a data set with their words, and figures in the words of a verdict."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64

from emoact.schema import Prompt, normal

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|(?:(?![{_CJK}])[^\W_])+(?:['’](?:(?![{_CJK}])[^\W_])+)*")


def words_of(text: str) -> tuple[str, ...]:
    """Words of a text in lower case and NFKC; every CJK character is a word."""
    plain = normal("NFKC", text).casefold().replace("’", "'")
    return tuple(_WORD.findall(plain))


NO_WORD = "(no word)"


@dataclass(frozen=True, kw_only=True, eq=False)
class Texts:
    """Prompts, with the words that the checks share.

    Attributes:
        token_counts: Tokens of each prompt for some model, or None.
    """

    prompts: tuple[Prompt, ...]
    token_counts: Int64[np.ndarray, " prompt"] | None = None

    @cached_property
    def emotions(self) -> tuple[str, ...]:
        """Labels in order of first appearance."""
        return tuple(dict.fromkeys(prompt.emotion for prompt in self.prompts))

    @cached_property
    def words(self) -> tuple[tuple[str, ...], ...]:
        """Words of each prompt."""
        return tuple(words_of(prompt.text) for prompt in self.prompts)

    def opening(self, n_words: int) -> list[str]:
        """First words of each prompt."""
        return [" ".join(words[:n_words]) or NO_WORD for words in self.words]

    def closing(self) -> list[str]:
        """Last word of each prompt."""
        return [words[-1] if words else NO_WORD for words in self.words]

    def rows(self, chosen: Sequence[int]) -> Texts:
        """Texts of the chosen prompts."""
        counts = None if self.token_counts is None else self.token_counts[list(chosen)]
        return Texts(prompts=tuple(self.prompts[row] for row in chosen), token_counts=counts)

    def of(self, emotion: str) -> list[int]:
        """Rows of the prompts of one emotion."""
        return [row for row, prompt in enumerate(self.prompts) if prompt.emotion == emotion]


def means_by_emotion(texts: Texts, values: Float64[np.ndarray, " prompt"]) -> dict[str, float]:
    """Mean of a feature for each emotion."""
    return {emotion: float(values[texts.of(emotion)].mean()) for emotion in texts.emotions}


def listed(means: Mapping[str, float], *, as_share: bool) -> str:
    """Means as `anger 12.3, neutral 24.1`, or shares as `anger 52 %`; of many only the extremes."""
    shown = []
    for emotion, mean in sorted(means.items(), key=lambda item: -item[1]):
        value = percent(mean) if as_share else f"{mean:.1f}" if mean >= 10 else f"{mean:.2f}"
        shown.append(f"{emotion} {value}")
    return ", ".join(shown if len(shown) <= 6 else [*shown[:2], "...", *shown[-2:]])


def percent(share: float) -> str:
    """Share in whole per cent."""
    return f"{100 * share:.0f} %"


def p_value(p: float) -> str:
    """p-value with two or three decimals."""
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
