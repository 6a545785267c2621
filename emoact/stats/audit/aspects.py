"""Aspects of a text that should be independent of its emotion, each measured two ways."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from emoact.stats.audit.outcome import Test
from emoact.stats.audit.register import MARKERS, is_english, sentences_of
from emoact.stats.audit.separation import (
    Association,
    Relabelled,
    associate,
    guess,
    unit_rows,
    whitened,
)
from emoact.stats.audit.text import Texts, words_of

_RARE = 3
"""Features of fewer prompts are left out: they cannot separate the classes."""
_MOST_WORDS = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """Named features of every prompt.

    Attributes:
        names: One per feature, as a phrase for a verdict.
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
    """Logarithm of each feature, and its square, for classes with both very low and high values."""
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
    """Capital at the beginning, words in capitals, other words that begin with a capital."""
    rows = []
    for prompt in texts.prompts:
        # "I" is counted as a pronoun and not here.
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


def category_view(values: Sequence[str | None], phrase: str) -> View:
    """One feature for each value that recurs, named by `phrase`."""
    return _counted([{} if value is None else {phrase.format(value): 1} for value in values])


def word_view(texts: Texts, *, rare: int = _RARE) -> View:
    """Presence of each word."""
    return _counted([{f'"{word}"': 1 for word in words} for words in texts.words], rare=rare)


def register_view(texts: Texts, aspect: str) -> View:
    """Presence of each class of words or forms of one aspect of register."""
    markers = MARKERS[aspect]
    found = [sentences_of(prompt.text) for prompt in texts.prompts]
    return _counted(
        [
            {name: int(any(has(*one) for one in sentences)) for name, has in markers.items()}
            for sentences in found
        ]
    )


def _counted(rows: Sequence[Mapping[str, int]], *, rare: int = _RARE) -> View:
    """Features of at least `rare` prompts, the most frequent first."""
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


Features = Float64[np.ndarray, "prompt feature"]


@dataclass(frozen=True, kw_only=True)
class Aspect:
    """Aspect of a text.

    Attributes:
        name: Short stable name.
        sees: Input of the classifier, as in "a classifier that sees only ...".
        remedy: Change of the data set that removes the confound.
        view: Features by which the classes are compared.
        seen: Features of the classifier; None for no classifier.
    """

    name: str
    sees: str = ""
    remedy: str
    view: Callable[[Texts], View]
    seen: Callable[[View], Features] | None = None

    @property
    def title(self) -> str:
        """Heading."""
        return self.name.replace("_", " ").capitalize()


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Aspect with its tests, without correction; a test is missing where no feature varies."""

    aspect: Aspect
    view: View
    association: Association | None
    tests: tuple[Test, ...]


FORM = (
    Aspect(
        name="length",
        sees="lengths",
        remedy="Lengthen or shorten texts until all emotions have the same mean and spread, best "
        "within each scenario.",
        view=length_view,
        seen=lambda view: whitened(bent(view).features),
    ),
    Aspect(
        name="punctuation",
        sees="punctuation marks and digits",
        remedy="Close all versions of a scenario with the same mark, and use the others equally "
        "often in every emotion.",
        view=punctuation_view,
        seen=lambda view: whitened(view.features),
    ),
    Aspect(
        name="capitals",
        sees="capital letters",
        remedy="Write every emotion with the same use of capitals.",
        view=capitals_view,
        seen=lambda view: whitened(view.features),
    ),
    Aspect(
        name="first_word",
        sees="the first word",
        remedy="Begin prompts of every emotion with the same set of words.",
        view=lambda texts: category_view(texts.opening(1), '"{}" as first word'),
        seen=lambda view: unit_rows(view.features),
    ),
    Aspect(
        name="last_word",
        sees="the last word",
        remedy="End all versions of a scenario in the same word.",
        view=lambda texts: category_view(texts.closing(), '"{}" as last word'),
        seen=lambda view: unit_rows(view.features),
    ),
    Aspect(
        name="subsets",
        remedy="Give every emotion the same share of each subset.",
        view=lambda texts: category_view([p.subset for p in texts.prompts], '"{}" as subset'),
    ),
    Aspect(
        name="languages",
        remedy="Give every emotion the same share of each language.",
        view=lambda texts: category_view([p.lang for p in texts.prompts], '"{}" as language'),
    ),
)


def _of_register(name: str, remedy: str) -> Aspect:
    return Aspect(name=name, remedy=remedy, view=lambda texts: register_view(texts, name))


REGISTER = (
    _of_register("numbers", "Use numerals, weekdays and months in every emotion alike."),
    _of_register("negation", "Negate as often in every emotion."),
    _of_register("connectives", "Give reasons and orders in every emotion alike."),
    _of_register("evaluation", "Let the prompts of every emotion judge and stress."),
    _of_register("mood", "Ask and request as often in every emotion."),
    _of_register("tenses", "Use the same tenses and modal verbs in every emotion."),
    _of_register("persons", "Let I, you and others act as often in every emotion."),
)
"""Aspects of register, from English word lists."""

WORDS = Aspect(
    name="single_words",
    remedy="Use these words equally often in every emotion, unless they name it.",
    view=word_view,
)
ASPECTS = (*FORM, *REGISTER, WORDS)


def measure(
    texts: Texts,
    labels: Relabelled,
    folds: Int64[np.ndarray, "partition prompt"] | None,
    *,
    on_step: Callable[[str], None],
) -> Iterator[Measured]:
    """All aspects that apply, in order; without folds only by association."""
    english = is_english(texts)
    for aspect in ASPECTS:
        if aspect in REGISTER and not english:
            continue
        on_step(aspect.name)
        view = aspect.view(texts)
        found = None
        tests = []
        if view.names:
            found = associate(view.features, labels.block, labels.draws)
        if found is not None:
            name = view.names[found.strongest]
            tests.append(Test(kind="association", feature=name, value=found.eta_squared, p=found.p))
        if aspect.seen is not None and folds is not None and view.names:
            tests.append(guess(aspect.seen(view), folds, labels.draws))
        yield Measured(aspect=aspect, view=view, association=found, tests=tuple(tests))
