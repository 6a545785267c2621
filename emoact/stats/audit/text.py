"""The texts of a data set with their words, taken apart once for all checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int64

from emoact.schema import Prompt
from emoact.stats.audit.tokens import words_of

NO_WORD = "(no word)"


@dataclass(frozen=True, kw_only=True, eq=False)
class Texts:
    """Prompts and what the checks need of them.

    Attributes:
        prompts: In the order of the data set.
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
        """The first words of each prompt."""
        return [" ".join(words[:n_words]) or NO_WORD for words in self.words]

    def closing(self) -> list[str]:
        """The last word of each prompt."""
        return [words[-1] if words else NO_WORD for words in self.words]

    def rows(self, chosen: Sequence[int]) -> Texts:
        """The same for some of the prompts."""
        counts = None if self.token_counts is None else self.token_counts[list(chosen)]
        return Texts(prompts=tuple(self.prompts[row] for row in chosen), token_counts=counts)

    def of(self, emotion: str) -> list[int]:
        """Places of the prompts of one emotion."""
        return [row for row, prompt in enumerate(self.prompts) if prompt.emotion == emotion]
