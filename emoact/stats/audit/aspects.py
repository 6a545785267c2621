"""The aspects of a text that should say nothing about its emotion, each measured two ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from emoact.stats.audit.association import Association, associate
from emoact.stats.audit.guessing import Guessing, guess, unit_rows, whitened
from emoact.stats.audit.relabelling import Exchange
from emoact.stats.audit.text import Texts
from emoact.stats.audit.view import (
    View,
    bent,
    capitals_view,
    category_view,
    length_view,
    opening_view,
    pronoun_view,
    punctuation_view,
)

Features = Float64[np.ndarray, "prompt feature"]


@dataclass(frozen=True, kw_only=True)
class Aspect:
    """One aspect.

    Attributes:
        name: Short stable name.
        title: For a heading.
        sees: What the classifier sees, as it goes into "a classifier that sees only ...".
        remedy: What would mend the data set.
        view: The features by which classes are compared.
        seen: The features that the classifier gets; None for no classifier.
    """

    name: str
    title: str
    sees: str
    remedy: str
    view: Callable[[Texts], View]
    seen: Callable[[View], Features] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """An aspect with its two tests, either of which may have nothing to look at."""

    aspect: Aspect
    view: View
    association: Association | None
    guessing: Guessing | None


ASPECTS = (
    Aspect(
        name="length",
        title="Length",
        sees="lengths",
        remedy="Lengthen or shorten texts until all emotions have the same mean and spread, best "
        "within each scenario.",
        view=length_view,
        seen=lambda view: whitened(bent(view).features),
    ),
    Aspect(
        name="punctuation",
        title="Punctuation",
        sees="punctuation marks and digits",
        remedy="Close all versions of a scenario with the same mark, and use the others equally "
        "often in every emotion.",
        view=punctuation_view,
        seen=lambda view: whitened(view.features),
    ),
    Aspect(
        name="capitals",
        title="Capitals",
        sees="capital letters",
        remedy="Write every emotion with the same use of capitals.",
        view=capitals_view,
        seen=lambda view: whitened(view.features),
    ),
    Aspect(
        name="first_word",
        title="First word",
        sees="the first word",
        remedy="Begin prompts of every emotion with the same set of words.",
        view=lambda texts: category_view(texts.opening(1), '"{}" as first word'),
        seen=lambda view: unit_rows(view.features),
    ),
    Aspect(
        name="last_word",
        title="Last word",
        sees="the last word",
        remedy="End all versions of a scenario in the same word.",
        view=lambda texts: category_view(texts.closing(), '"{}" as last word'),
        seen=lambda view: unit_rows(view.features),
    ),
    Aspect(
        name="opening",
        title="Opening words",
        sees="the opening words",
        remedy="Vary how the prompts of an emotion open, or open those of the others alike.",
        view=opening_view,
        seen=None,
    ),
    Aspect(
        name="pronouns",
        title="Pronouns",
        sees="pronouns",
        remedy="Spread I, you, we and they evenly over the emotions.",
        view=pronoun_view,
        seen=lambda view: whitened(view.features),
    ),
)


def measure(
    texts: Texts,
    exchange: Exchange,
    draws: Int64[np.ndarray, "draw prompt"],
    folds: Int64[np.ndarray, "partition prompt"] | None,
    *,
    on_step: Callable[[str], None],
) -> Iterator[Measured]:
    """All aspects in order; without folds only by association."""
    for aspect in ASPECTS:
        on_step(aspect.name)
        view = aspect.view(texts)
        guessing = None
        if aspect.seen is not None and folds is not None and view.names:
            guessing = guess(aspect.seen(view), folds, draws)
        yield Measured(
            aspect=aspect,
            view=view,
            association=associate(view.features, exchange.block, draws) if view.names else None,
            guessing=guessing,
        )
