"""Checks without a test: number of prompts, duplicates, templates and scenarios."""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import accumulate

import numpy as np

from emoact.numbers import plural, some
from emoact.schema import Prompt
from emoact.stats.audit.outcome import Check, Outcome
from emoact.stats.audit.text import Texts, words_of

_SIMILAR = 0.6
"""Eight words of which one is another share seven of nine; of which two are, six of ten."""
_MOST_COMPARISONS = 3_000_000
_WORDS = 100
"""Words of two texts, for each of which their comparison counts once more."""
_MOST_PAIRS = 100_000


def recurring(keys: Iterable[Hashable]) -> list[int]:
    """Rows whose key another row has too, by their hashes: a few others may be among them."""
    hashes = np.fromiter(map(hash, keys), np.int64)
    _, place, often = np.unique(hashes, return_inverse=True, return_counts=True)
    rows: list[int] = np.flatnonzero(often[place] > 1).tolist()
    return rows


def equal_groups(texts: Texts) -> list[list[int]]:
    """Rows of prompts with the same words in the same order; case and punctuation do not count."""

    def key(prompt: Prompt) -> Hashable:
        return words_of(prompt.text) or prompt.text.strip()

    groups: dict[Hashable, list[int]] = defaultdict(list)
    for row in recurring(map(key, texts.prompts)):
        groups[key(texts.prompts[row])].append(row)
    return [group for group in groups.values() if len(group) > 1]


def similar_pairs(words: Iterable[Sequence[str]]) -> tuple[list[tuple[int, int]], bool]:
    """Pairs with a Jaccard index of at least 0.6, without pairs of equal texts.

    The second value is False where the limit of comparisons, or of pairs, was reached.

    Only texts that share one of their rarest words are compared. No pair is lost: two sets with
    a Jaccard index of t overlap in the first |x| - ceil(t |x|) + 1 words of any common order.

    Source: Chaudhuri et al. 2006 (prefix filter).
    """
    # Arrays of numbers: sets, tuples or lists of very many texts take a kilobyte for each.
    vocabulary: dict[str, int] = {}
    numbers, edges = array("i"), array("q", [0])
    for each in words:
        numbers.extend([vocabulary.setdefault(word, len(vocabulary)) for word in each])
        edges.append(len(numbers))
    frequency = array("i", bytes(4 * len(vocabulary)))
    vocabulary.clear()

    def text_of(row: int) -> array[int]:
        return numbers[edges[row] : edges[row + 1]]

    for row in range(len(edges) - 1):
        for number in set(text_of(row)):
            frequency[number] += 1
    # Rows of the texts that were seen with a word in their prefix, in its share of one array.
    starts = array("q", accumulate(frequency, initial=0))
    ends, seen = array("q", starts), array("i", bytes(4 * starts[-1]))
    pairs: list[tuple[int, int]] = []
    comparisons = 0
    for row in range(len(edges) - 1):
        text = text_of(row)
        if not text:
            continue
        own = frozenset(text)
        rarest = sorted(own, key=lambda number: (frequency[number], number))
        prefix = rarest[: len(own) - math.ceil(_SIMILAR * len(own)) + 1]
        candidates = {other for number in prefix for other in seen[starts[number] : ends[number]]}
        comparisons += sum(
            1 + (len(text) + edges[other + 1] - edges[other]) // _WORDS for other in candidates
        )
        if comparisons > _MOST_COMPARISONS or len(pairs) > _MOST_PAIRS:
            return pairs, False
        for other in sorted(candidates):
            there = text_of(other)
            similar = len(own.intersection(there)) >= _SIMILAR * len(own.union(there))
            if similar and text != there:
                pairs.append((other, row))
        for number in prefix:
            seen[ends[number]] = row
            ends[number] += 1
    return pairs, True


_FEW = 10
_UNEQUAL = 1.2
_VERY_UNEQUAL = 3.0
_OPENING_SHARE = 0.06
_ALWAYS_ALLOWED = 3


def count_check(texts: Texts) -> Check:
    """Number of prompts of each emotion."""
    counts = Counter(prompt.emotion for prompt in texts.prompts)
    listing = ", ".join(f"{emotion} {counts[emotion]}" for emotion in texts.emotions)
    smallest, largest = min(counts.values()), max(counts.values())
    outcome: Outcome = "ok"
    verdict = f"{len(texts.prompts)} prompts: {some(listing.split(', '), limit=12)}."
    remedy = ""
    if len(counts) == 1:
        outcome, remedy = "error", "Add prompts of at least one other emotion, such as neutral."
        verdict = f"All {len(texts.prompts)} prompts are {texts.emotions[0]}: nothing to compare."
    elif smallest == 1:
        outcome, remedy = "warning", "Write at least ten prompts for every emotion."
        verdict += " An emotion with a single prompt has no variance, so no test is possible."
    elif largest > _VERY_UNEQUAL * smallest:
        outcome, remedy = "warning", "Add prompts to the small emotions, or leave some out."
        verdict += " The largest emotion has more than three times the prompts of the smallest."
    elif smallest < _FEW:
        outcome, remedy = "note", "Write at least ten prompts for every emotion."
        verdict += " With fewer than ten prompts of an emotion the tests have little power."
    elif largest > _UNEQUAL * smallest:
        outcome, remedy = (
            "note",
            "Use equal counts, so that all emotions are estimated with the same precision.",
        )
        verdict += " Counts differ by more than a fifth."
    return Check(
        aspect="counts",
        title="Counts",
        outcome=outcome,
        verdict=verdict,
        remedy=remedy,
        by_emotion={emotion: {"prompts": counts[emotion]} for emotion in texts.emotions},
    )


def duplicate_check(texts: Texts) -> Check:
    """Prompts with the same words."""
    groups = equal_groups(texts)
    if not groups:
        return Check(
            aspect="duplicates",
            title="Duplicates",
            outcome="ok",
            verdict="No two prompts have the same words.",
        )
    torn = [group for group in groups if _stands_under_two_emotions(texts, group)]
    extra = sum(len(group) - 1 for group in groups)
    worst = torn or groups
    pairs = [" = ".join(texts.prompts[row].id for row in group[:3]) for group in worst]
    verdict = plural(extra, "prompt repeats", "prompts repeat") + " the words of another one"
    if torn:
        stand = plural(len(torn), "text stands", "texts stand")
        verdict += f", and {stand} under more than one emotion"
    return Check(
        aspect="duplicates",
        title="Duplicates",
        outcome="error" if torn else "warning",
        verdict=f"{verdict}: {some(pairs)}.",
        remedy="Keep one prompt of each group and write new ones for the rest: duplicates reduce "
        "the variance of a class and leak from training to test folds.",
        examples=tuple(texts.prompts[row].id for group in worst[:10] for row in group[:3]),
    )


def _stands_under_two_emotions(texts: Texts, group: list[int]) -> bool:
    emotions: dict[str, set[str]] = {}
    for row in group:
        prompt = texts.prompts[row]
        emotions.setdefault(prompt.text.strip(), set()).add(prompt.emotion)
    return any(len(found) > 1 for found in emotions.values())


def near_duplicate_check(texts: Texts) -> Check:
    """Prompts that share three fifths of their words, except versions of one scenario."""
    similar, complete = similar_pairs(words_of(prompt.text) for prompt in texts.prompts)
    remark = "" if complete else " Not all pairs were compared: too many texts share their words."
    pairs = [
        (one, other)
        for one, other in similar
        if texts.prompts[one].emotion == texts.prompts[other].emotion
        or texts.prompts[one].scenario_id is None
        or texts.prompts[one].scenario_id != texts.prompts[other].scenario_id
    ]
    if not pairs:
        return Check(
            aspect="near_duplicates",
            title="Near-duplicates",
            outcome="ok",
            verdict="No two prompts share three fifths of their words (versions of one scenario "
            f"do not count).{remark}",
        )
    crossing = any(texts.prompts[a].emotion != texts.prompts[b].emotion for a, b in pairs)
    shown = [f"{texts.prompts[a].id} ~ {texts.prompts[b].id}" for a, b in pairs]
    remedy = "Rewrite one of each pair."
    if crossing:
        remedy += " Versions of one situation under different emotions need the same scenario_id."
    return Check(
        aspect="near_duplicates",
        title="Near-duplicates",
        outcome="warning",
        verdict=plural(len(pairs), "pair of prompts shares", "pairs of prompts share")
        + f" three fifths of their words or more: {some(shown)}.{remark}",
        remedy=remedy,
        examples=tuple(texts.prompts[row].id for pair in pairs[:10] for row in pair),
    )


def template_check(texts: Texts) -> Check:
    """Three-word openings that many prompts of an emotion share."""
    found: list[str] = []
    for emotion in texts.emotions:
        rows = texts.of(emotion)
        words = (words_of(texts.prompts[row].text) for row in rows)
        openings = Counter(" ".join(text[:3]) for text in words if len(text) >= 3)
        for opening, opened in openings.most_common(1):
            if opened > max(_ALWAYS_ALLOWED, math.ceil(_OPENING_SHARE * len(rows))):
                found.append(f'{opened} of {len(rows)} {emotion} prompts open with "{opening} ..."')
    return Check(
        aspect="templates",
        title="Templates",
        outcome="warning" if found else "ok",
        verdict=f"{some(found, limit=6) or 'No opening recurs much within an emotion'}.",
        remedy="Vary the wording: a direction fitted to a template separates the template and not "
        "the emotion."
        if found
        else "",
    )


def scenario_check(texts: Texts) -> Check:
    """Scenarios and the emotions that they hold."""
    held: dict[str, list[str]] = defaultdict(list)
    for prompt in texts.prompts:
        if prompt.scenario_id is not None:
            held[prompt.scenario_id].append(prompt.emotion)
    whole = sum(len(set(emotions)) == len(texts.emotions) for emotions in held.values())
    alone = [name for name, emotions in held.items() if len(set(emotions)) == 1]
    torn = len(alone) == len(held) < sum(map(len, held.values())) and len(texts.emotions) > 1
    verdict = f"{whole} of {plural(len(held), 'scenario')} are written in every emotion."
    if not held:
        verdict = "No prompt has a scenario_id. Every prompt counts as one scenario."
    elif torn:
        verdict = "No scenario is written in more than one emotion: topics can stand for emotions."
    return Check(
        aspect="scenarios",
        title="Scenarios",
        outcome="warning" if torn else "ok",
        verdict=verdict,
        remedy="Write every scenario once in each emotion." if torn else "",
        examples=tuple(alone[:10]) if torn else (),
    )
