"""Texts that are the same, or nearly so."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from emoact.stats.audit.text import Texts

_SIMILAR = 0.8
_MOST_COMPARISONS = 3_000_000


def equal_groups(texts: Texts) -> list[list[int]]:
    """Places of prompts with the same words in the same order, punctuation and capitals aside."""
    groups: dict[object, list[int]] = defaultdict(list)
    for row, words in enumerate(texts.words):
        groups[words or texts.prompts[row].text.strip()].append(row)
    return [group for group in groups.values() if len(group) > 1]


def similar_pairs(words: Sequence[Sequence[str]]) -> tuple[list[tuple[int, int]], bool]:
    """Pairs that share four fifths of their different words, but not equal word for word.

    Beside them whether all texts were compared; very many texts of the same few words are not.

    Only texts that share one of their rarest words are compared, which loses none: two sets with
    a Jaccard index of t overlap in the first |x| - ceil(t |x|) + 1 words of any common order.

    Source: Chaudhuri et al. 2006 (prefix filter).
    """
    frequency = Counter(word for text in words for word in set(text))
    sets = [frozenset(text) for text in words]
    seen_with: dict[str, list[int]] = defaultdict(list)
    pairs: list[tuple[int, int]] = []
    comparisons = 0
    for row, own in enumerate(sets):
        if not own:
            continue
        rarest = sorted(own, key=lambda word: (frequency[word], word))
        prefix = rarest[: len(own) - math.ceil(_SIMILAR * len(own)) + 1]
        candidates = {other for word in prefix for other in seen_with[word]}
        comparisons += len(candidates)
        if comparisons > _MOST_COMPARISONS:
            return pairs, False
        for other in sorted(candidates):
            shared = len(own & sets[other])
            similar = shared >= _SIMILAR * len(own | sets[other])
            if similar and tuple(words[row]) != tuple(words[other]):
                pairs.append((other, row))
        for word in prefix:
            seen_with[word].append(row)
    return pairs, True
