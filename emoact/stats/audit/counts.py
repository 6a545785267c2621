"""Checks without a test: number of prompts, duplicates, templates and scenarios."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from emoact.numbers import plural, some
from emoact.stats.audit.outcome import Check, Outcome
from emoact.stats.audit.text import Texts

_SIMILAR = 0.6
"""Eight words of which one is another share seven of nine; of which two are, six of ten."""
_MOST_COMPARISONS = 3_000_000
_WORDS = 100
"""Words of two texts, for each of which their comparison counts once more."""
_MOST_PAIRS = 100_000


def equal_groups(texts: Texts) -> list[list[int]]:
    """Rows of prompts with the same words in the same order; case and punctuation do not count."""
    groups: dict[object, list[int]] = defaultdict(list)
    for row, words in enumerate(texts.words):
        groups[words or texts.prompts[row].text.strip()].append(row)
    return [group for group in groups.values() if len(group) > 1]


def similar_pairs(words: Iterable[Sequence[str]]) -> tuple[list[tuple[int, int]], bool]:
    """Pairs with a Jaccard index of at least 0.6, without pairs of equal texts.

    The second value is False where the limit of comparisons, or of pairs, was reached.

    Only texts that share one of their rarest words are compared. No pair is lost: two sets with
    a Jaccard index of t overlap in the first |x| - ceil(t |x|) + 1 words of any common order.

    Source: Chaudhuri et al. 2006 (prefix filter).
    """
    # Whole numbers: sets of the words of very many texts would take a kilobyte for each.
    numbers: dict[str, int] = {}
    texts = [tuple(numbers.setdefault(word, len(numbers)) for word in text) for text in words]
    frequency = Counter(number for text in texts for number in set(text))
    seen_with: dict[int, list[int]] = defaultdict(list)
    pairs: list[tuple[int, int]] = []
    comparisons = 0
    for row, text in enumerate(texts):
        if not text:
            continue
        own = frozenset(text)
        rarest = sorted(own, key=lambda number: (frequency[number], number))
        prefix = rarest[: len(own) - math.ceil(_SIMILAR * len(own)) + 1]
        candidates = {other for number in prefix for other in seen_with[number]}
        comparisons += sum(1 + (len(text) + len(texts[other])) // _WORDS for other in candidates)
        if comparisons > _MOST_COMPARISONS or len(pairs) > _MOST_PAIRS:
            return pairs, False
        for other in sorted(candidates):
            similar = len(own.intersection(texts[other])) >= _SIMILAR * len(own.union(texts[other]))
            if similar and text != texts[other]:
                pairs.append((other, row))
        for number in prefix:
            seen_with[number].append(row)
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
    similar, complete = similar_pairs(texts.words)
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
        words = [texts.words[row] for row in texts.of(emotion)]
        openings = Counter(" ".join(text[:3]) for text in words if len(text) >= 3)
        for opening, opened in openings.most_common(1):
            if opened > max(_ALWAYS_ALLOWED, math.ceil(_OPENING_SHARE * len(words))):
                found.append(
                    f'{opened} of {len(words)} {emotion} prompts open with "{opening} ..."'
                )
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
