"""One sentence beside saved prompts, as tables: its tokens, its layers, and the classes near it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from emoact import numbers
from emoact.positions import NormKind
from emoact.schema import Site
from emoact.stats.distances.nearest import HeldOut, class_distances, held_out
from emoact.stats.norms.activation_tables import site_norms_of
from emoact.stats.norms.norms import prompt_means
from emoact.store.summaries.measures import UnitMeasures

Quartiles = tuple[list[float], list[float], list[float]]
"""First quartile, median and third quartile by layer."""


@dataclass(frozen=True, kw_only=True)
class NearClasses:
    """How far a sentence lies from the saved classes at one layer, and how good the rule is.

    Attributes:
        site: Of what.
        layer: Where.
        distances: To the mean of each class, nearest first.
        accuracy: How often saved prompts fall to their own class; None with too few of them.
        words: The same at layer 0, where a token knows nothing of the others; None at layer 0.
    """

    site: Site
    layer: int
    distances: Mapping[str, float]
    accuracy: HeldOut | None
    words: HeldOut | None

    def rows(self) -> list[dict[str, Any]]:
        """One for each class, nearest first."""
        return [
            {
                "class": name,
                "distance": distance,
                "held-out prompts that fall to it": self.accuracy.by_class[name]
                if self.accuracy
                else None,
            }
            for name, distance in self.distances.items()
        ]

    def sentences(
        self, *, name: Callable[[str], str] = str, code: Callable[[str], str] = str
    ) -> tuple[str, str]:
        """Which class is nearest, and how much that is worth.

        Args:
            name: Makes a class label safe where the sentences are shown.
            code: The same for a hook point.
        """
        (nearest, distance), *others = self.distances.items()
        first = (
            f"At layer {self.layer} of {code(self.site)} the sentence lies closest to "
            f"{name(nearest)} ({distance:.3f}"
        )
        first += f"; next is {name(others[0][0])}, {others[0][1]:.3f})." if others else ")."
        if self.accuracy is None:
            return first, "There are too few prompts to say how often the same rule is right."
        how = "by scenario" if self.accuracy.grouped else "one fold of prompts at a time"
        second = (
            f"By the same rule {_percent(self.accuracy.accuracy)} of the {self.accuracy.n} saved "
            f"prompts, held out {how}, fall to their own class (chance "
            f"{_percent(self.accuracy.chance)})"
        )
        if self.words is not None:
            second += f"; with the words alone, at layer 0, it is {_percent(self.words.accuracy)}"
        return first, second + "."


def near_classes(
    units: Sequence[UnitMeasures],
    site: Site,
    layer: int,
    pooled: Float32[np.ndarray, " d_model"],
) -> NearClasses | None:
    """Where the mean over a sentence's content lies; None where no saved prompt is finite.

    Args:
        units: Of one model; all of them have the site.
        site: Of what.
        layer: Where.
        pooled: The sentence there.
    """
    saved, labels, scenarios = _prompts(units, site, layer)
    if not len(saved):
        return None
    classes, distances = class_distances(saved, labels, pooled[None])
    words = None
    if site == "resid_pre" and layer:
        words = held_out(*_prompts(units, site, 0))
    order = np.argsort(distances[0], kind="stable")
    return NearClasses(
        site=site,
        layer=layer,
        distances={classes[i]: float(distances[0, i]) for i in order},
        accuracy=held_out(saved, labels, scenarios),
        words=words,
    )


def sentence_norms(
    arrays: Mapping[str, np.ndarray], site: Site, kind: NormKind
) -> Float64[np.ndarray, "layer pos"]:
    """The norm of every token of a sentence.

    Args:
        arrays: `<site>.l2`, `<site>.l1` of `[layer, pos]` and `<site>.pooled` of
            `[layer, d_model]`.
        site: Of what.
        kind: Which norm.
    """
    if kind == "rms":
        return arrays[f"{site}.l2"] / math.sqrt(arrays[f"{site}.pooled"].shape[1])
    return arrays[f"{site}.{kind}"]


def sentence_token_rows(
    norms: Float64[np.ndarray, "layer pos"], token_strings: Sequence[str]
) -> list[dict[str, Any]]:
    """By layer and token of the sentence: the norm."""
    return [
        {"layer": layer, "position": position, "token": token, "norm": float(row[position])}
        for layer, row in enumerate(norms)
        for position, token in enumerate(token_strings)
    ]


def sentence_layer_rows(
    own: Float64[np.ndarray, " layer"], classes: Mapping[str, Quartiles]
) -> list[dict[str, Any]]:
    """By layer: the mean norm of the sentence beside median and quartiles of each class."""
    rows = []
    for layer, value in enumerate(own):
        row: dict[str, Any] = {"layer": layer, "sentence": float(value)}
        for emotion, (low, middle, high) in classes.items():
            row |= {
                f"{emotion} q25": low[layer],
                f"{emotion} median": middle[layer],
                f"{emotion} q75": high[layer],
            }
        rows.append(row)
    return rows


def own_means(
    norms: Float64[np.ndarray, "layer pos"], content_start: int
) -> Float64[np.ndarray, " layer"]:
    """The mean norm over the content of a sentence."""
    return prompt_means(norms, [norms.shape[1]], content_start)[:, 0]


def class_quartiles(unit: UnitMeasures, site: Site, kind: NormKind) -> Quartiles:
    """Quartiles over the finite prompts of a class of their mean norm over content."""
    means = prompt_means(site_norms_of(unit, site, kind), unit.lengths, unit.content_start)
    found = [
        np.quantile(own, [0.25, 0.5, 0.75]).tolist() if len(own) else [math.nan] * 3
        for own in (row[np.isfinite(row)] for row in means)
    ]
    low, middle, high = ([values[at] for values in found] for at in range(3))
    return low, middle, high


def _prompts(
    units: Sequence[UnitMeasures], site: Site, layer: int
) -> tuple[np.ndarray, list[str], list[str | None]]:
    pooled = np.concatenate([unit.sites[site].pooled[layer] for unit in units])
    labels = [unit.emotion for unit in units for _ in range(unit.n_samples)]
    scenarios = [unit.scenario(sample) for unit in units for sample in range(unit.n_samples)]
    finite = np.flatnonzero(np.isfinite(pooled).all(axis=1))
    return pooled[finite], [labels[i] for i in finite], [scenarios[i] for i in finite]


def _percent(share: float) -> str:
    return f"{numbers.significant(100 * share, 2)} %"
