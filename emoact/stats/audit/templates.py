"""Sentences cast in one mould: the same opening, or the same frame around a few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_FRAME_SHARE = 0.2
"""A word that so large a share of the class has belongs to the frame, not to the filling."""
_FRAME_WORDS = 3


def commonest_opening(words: Sequence[Sequence[str]]) -> tuple[str, int]:
    """The three-word opening that most texts share, and how many do."""
    openings = Counter(" ".join(text[:3]) for text in words if len(text) >= 3)
    return openings.most_common(1)[0] if openings else ("", 0)


def commonest_frame(words: Sequence[Sequence[str]]) -> tuple[str, int]:
    """The frame that most texts share, and how many do.

    Rare words of the class become gaps; what is left counts as a frame when it has at least three
    words and a gap.
    """
    present = Counter(word for text in words for word in set(text))
    least = max(2.0, _FRAME_SHARE * len(words))
    frames: Counter[str] = Counter()
    for text in words:
        parts: list[str] = []
        for word in text:
            part = word if present[word] >= least else "___"
            if part != "___" or parts[-1:] != ["___"]:
                parts.append(part)
        if "___" in parts and len(parts) - parts.count("___") >= _FRAME_WORDS:
            frames[" ".join(parts)] += 1
    return frames.most_common(1)[0] if frames else ("", 0)
