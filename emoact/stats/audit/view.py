"""What a classifier gets to see when it sees one aspect of the texts only."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from emoact.stats.audit.text import Texts
from emoact.stats.audit.tokens import PERSONS, words_of

_RARE = 3
"""A feature of fewer prompts than this can be no confound of classes and is left out."""
_MOST_WORDS = 500
_PRONOUNS = frozenset().union(*PERSONS.values())


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """Named features of every prompt.

    Attributes:
        names: One per feature, as a phrase for a verdict.
        features: Their values.
    """

    names: tuple[str, ...]
    features: Float64[np.ndarray, "prompt feature"]


def length_view(texts: Texts) -> View:
    """Characters, words and, where they are known, tokens."""
    names = ["characters", "words"]
    columns = [
        [len(prompt.text) for prompt in texts.prompts],
        [len(words) for words in texts.words],
    ]
    if texts.token_counts is not None:
        names.append("tokens")
        columns.append(texts.token_counts.tolist())
    return View(names=tuple(names), features=np.array(columns, dtype=np.float64).T)


def bent(view: View) -> View:
    """The logarithm of each feature and its square, for classes that are odd at both ends."""
    logs = np.log1p(view.features)
    centred = logs - logs.mean(axis=0)
    names = (*view.names, *(f"{name} squared" for name in view.names))
    return View(names=names, features=np.hstack([centred, centred**2]))


def punctuation_view(texts: Texts) -> View:
    """Counts of every punctuation mark, symbol and digit, and the closing character."""
    rows = []
    for prompt in texts.prompts:
        text = prompt.text.strip()
        marks = Counter(repr(c) for c in text if unicodedata.category(c)[0] in "PS")
        last = text[-1]
        ending = repr(last) if unicodedata.category(last)[0] in "PS" else "no mark"
        digits = sum(c.isdigit() for c in text)
        rows.append({f"{ending} at the end": 1, **marks, "digits": digits})
    return _counted(rows)


def capitals_view(texts: Texts) -> View:
    """Capitals at the beginning, words in capitals, other words that begin with one."""
    rows = []
    for prompt in texts.prompts:
        # "I" says nothing here that the pronouns do not say.
        parts = [part for part in prompt.text.split() if words_of(part)[:1] not in (("i",),)]
        letters = [c for c in prompt.text if c.isalpha()]
        loud = sum(part.isupper() and sum(c.isalpha() for c in part) > 1 for part in parts)
        names = sum(part[:1].isupper() and not part.isupper() for part in parts[1:])
        rows.append(
            {
                "a capital at the beginning": int(bool(letters) and letters[0].isupper()),
                "words in capitals": loud,
                "capitalised words further on": names,
            }
        )
    return _counted(rows)


def category_view(values: Sequence[str | None], phrase: str, *, rare: int = _RARE) -> View:
    """One feature per value that so many prompts have; `phrase` puts the value into words."""
    rows = [{} if value is None else {phrase.format(value): 1} for value in values]
    return _counted(rows, rare=rare)


def opening_view(texts: Texts) -> View:
    """The first two and the first three words."""
    rows: list[Mapping[str, int]] = []
    for two, three in zip(texts.opening(2), texts.opening(3), strict=True):
        rows.append({f'"{opening}" as opening': 1 for opening in {two, three}})
    return _counted(rows)


def pronoun_view(texts: Texts) -> View:
    """English pronouns, one by one and by person."""
    rows = []
    for words in texts.words:
        row = Counter(f'"{word}"' for word in words if word in _PRONOUNS)
        for person, forms in PERSONS.items():
            row[f"pronouns of the {person} person"] = sum(word in forms for word in words)
        rows.append(row)
    return _counted(rows)


def lexical_view(texts: Texts) -> View:
    """Which words occur, the rare ones weighted more."""
    rows = [Counter(set(words)) for words in texts.words]
    view = _counted(rows, rare=2)
    shares = np.maximum((view.features > 0).mean(axis=0), 1e-12)
    return View(names=view.names, features=view.features * np.log(1.0 / shares))


def _counted(rows: Sequence[Mapping[str, int]], *, rare: int = _RARE) -> View:
    """Features that enough prompts have, the most frequent first."""
    present: Counter[str] = Counter()
    for row in rows:
        present.update(name for name, value in row.items() if value)
    names = [name for name, count in present.most_common(_MOST_WORDS) if count >= rare]
    place = {name: column for column, name in enumerate(names)}
    features = np.zeros((len(rows), len(names)))
    for index, row in enumerate(rows):
        for name, value in row.items():
            if name in place:
                features[index, place[name]] = value
    return View(names=tuple(names), features=features)
