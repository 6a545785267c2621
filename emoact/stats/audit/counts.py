"""Checks that need no test: how many prompts, doubles, moulds, and how scenarios are filled."""

from __future__ import annotations

import math
from collections import Counter

from emoact.stats.audit.duplicates import equal_groups, similar_pairs
from emoact.stats.audit.outcome import Check, Figure, Outcome
from emoact.stats.audit.phrases import counted, some
from emoact.stats.audit.templates import commonest_frame, commonest_opening
from emoact.stats.audit.text import Texts

_FEW = 10
_UNEQUAL = 1.2
_VERY_UNEQUAL = 3.0
_OPENING_SHARE = 0.06
_FRAME_SHARE = 0.2
_ALWAYS_ALLOWED = 3


def count_check(texts: Texts) -> Check:
    """Whether there are enough prompts, and about as many of every emotion."""
    counts = Counter(prompt.emotion for prompt in texts.prompts)
    listing = ", ".join(f"{emotion} {counts[emotion]}" for emotion in texts.emotions)
    smallest, largest = min(counts.values()), max(counts.values())
    outcome: Outcome = "ok"
    verdict = f"{len(texts.prompts)} prompts: {some(listing.split(', '), limit=12)}."
    remedy = ""
    if len(counts) == 1:
        outcome, remedy = "error", "Add prompts of at least one other emotion, such as neutral."
        verdict = f"All {len(texts.prompts)} prompts are {texts.emotions[0]}; nothing to compare."
    elif smallest == 1:
        outcome, remedy = "warning", "Write at least ten prompts for every emotion."
        verdict += " An emotion with a single prompt has no spread, so nothing can be tested."
    elif largest > _VERY_UNEQUAL * smallest:
        outcome, remedy = "warning", "Add prompts to the small emotions, or leave some out."
        verdict += " The largest emotion has more than three times the prompts of the smallest."
    elif smallest < _FEW:
        outcome, remedy = "note", "Write at least ten prompts for every emotion."
        verdict += " With fewer than ten prompts of an emotion little can be found out."
    elif largest > _UNEQUAL * smallest:
        outcome, remedy = "note", "Equal counts make every comparison easier to read."
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
    verdict = counted(extra, "prompt repeats", "prompts repeat") + " the words of another one"
    if torn:
        stand = counted(len(torn), "text stands", "texts stand")
        verdict += f", and {stand} under more than one emotion"
    return Check(
        aspect="duplicates",
        title="Duplicates",
        outcome="error" if torn else "warning",
        verdict=f"{verdict}: {some(pairs)}.",
        remedy="Keep one of each and write new ones for the rest; doubles make a class look "
        "tighter than it is and leak from training to test folds.",
        examples=tuple(texts.prompts[row].id for group in worst[:10] for row in group[:3]),
    )


def _stands_under_two_emotions(texts: Texts, group: list[int]) -> bool:
    emotions: dict[str, set[str]] = {}
    for row in group:
        prompt = texts.prompts[row]
        emotions.setdefault(prompt.text.strip(), set()).add(prompt.emotion)
    return any(len(found) > 1 for found in emotions.values())


def near_duplicate_check(texts: Texts) -> Check:
    """Prompts that share four fifths of their words; versions of one scenario may."""
    similar, complete = similar_pairs(texts.words)
    remark = "" if complete else " Not all pairs could be compared: there are too many alike."
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
            verdict="No two prompts share four fifths of their words (versions of one scenario "
            f"aside).{remark}",
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
        verdict=counted(len(pairs), "pair of prompts shares", "pairs of prompts share")
        + f" four fifths of their words or more: {some(shown)}.{remark}",
        remedy=remedy,
        examples=tuple(texts.prompts[row].id for pair in pairs[:10] for row in pair),
    )


def template_check(texts: Texts) -> Check:
    """Whether many prompts of an emotion are cast in one mould."""
    found: list[str] = []
    table: dict[str, dict[str, Figure]] = {}
    for emotion in texts.emotions:
        words = [texts.words[row] for row in texts.of(emotion)]
        opening, opened = commonest_opening(words)
        frame, framed = commonest_frame(words)
        table[emotion] = {"commonest opening": opening, "prompts with it": opened}
        if opened > max(_ALWAYS_ALLOWED, math.ceil(_OPENING_SHARE * len(words))):
            found.append(f'{opened} of {len(words)} {emotion} prompts open with "{opening} ..."')
        if framed > max(_ALWAYS_ALLOWED, math.ceil(_FRAME_SHARE * len(words))):
            found.append(f'{framed} of {len(words)} {emotion} prompts have the form "{frame}"')
    if not found:
        return Check(
            aspect="templates",
            title="Templates",
            outcome="ok",
            verdict="No opening and no sentence frame recurs much within an emotion.",
            by_emotion=table,
        )
    return Check(
        aspect="templates",
        title="Templates",
        outcome="warning",
        verdict=f"{some(found, limit=6)}.",
        remedy="Word the prompts freely; of a template, a direction learns the slots and the "
        "frame.",
        by_emotion=table,
    )
