"""Tables of one sentence beside saved prompts: its tokens, its layers, the distance to classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64

from emoact import numbers
from emoact.positions import NormKind, Span
from emoact.sites import SiteName
from emoact.stats.distances.nearest import HeldOut, class_distances, held_out
from emoact.stats.norms.tables import finite_quartiles, prompt_means, token_norms
from emoact.store.summaries.measures import UnitMeasures

TIE = 0.01
"""Difference of two distances, as a share of the smaller one, below which neither is nearest."""


@dataclass(frozen=True, kw_only=True)
class NearClasses:
    """Distances of a sentence to the saved classes at one layer, and the accuracy of that rule.

    Attributes:
        distances: To the mean of each class, nearest first.
        accuracy: Of the rule on saved prompts held out; None with too few of them.
        words: The same at layer 0, where a token does not depend on the others; None at layer 0.
    """

    site: SiteName
    layer: int
    distances: Mapping[str, float]
    accuracy: HeldOut | None
    words: HeldOut | None

    def frame(self) -> pd.DataFrame:
        """One row for each class, nearest first."""
        shares = self.accuracy.by_class if self.accuracy else {}
        return pd.DataFrame(
            {
                "class": name,
                "distance": distance,
                "held-out prompts that fall to it": shares.get(name),
            }
            for name, distance in self.distances.items()
        )

    def sentences(
        self, *, name: Callable[[str], str] = str, code: Callable[[str], str] = str
    ) -> tuple[str, str]:
        """The nearest class, and the accuracy of the rule that names it.

        `name` and `code` make a class label and a hook point safe where the sentences are shown.
        """
        (nearest, distance), *others = self.distances.items()
        where = f"At layer {self.layer} of {code(self.site)} the sentence lies"
        first = f"{where} closest to {name(nearest)} ({distance:.3f}"
        first += f"; next is {name(others[0][0])}, {others[0][1]:.3f})." if others else ")."
        if others and others[0][1] - distance < TIE * distance:
            first = (
                f"{where} about as close to {name(nearest)} ({distance:.3f}) as to "
                f"{name(others[0][0])} ({others[0][1]:.3f}): a difference below "
                f"{numbers.percent(TIE)} names no class."
            )
        if self.accuracy is None:
            return first, "There are too few prompts to test the rule on prompts held out."
        fold = "by scenario" if self.accuracy.grouped else "one fold of prompts at a time"
        second = (
            f"By the same rule {numbers.percent(self.accuracy.accuracy)} of the {self.accuracy.n} "
            f"saved prompts, held out {fold}, fall to their own class (chance "
            f"{numbers.percent(self.accuracy.chance)})"
        )
        if self.words is not None:
            words = numbers.percent(self.words.accuracy)
            second += f"; with the words alone, at layer 0, it is {words}"
        return first, second + "."


def near_classes(
    units: Sequence[UnitMeasures],
    site: SiteName,
    layer: int,
    pooled: Float32[np.ndarray, " d_model"],
) -> NearClasses | None:
    """Distances of the mean over a sentence's content; None where no saved prompt is finite.

    The units are of one model, and all of them have the site.
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
    arrays: Mapping[str, np.ndarray], site: SiteName, kind: NormKind
) -> Float64[np.ndarray, "layer pos"]:
    """Norm of every token, from `<site>.l2`, `<site>.l1` and `<site>.pooled` `[layer, d_model]`."""
    if kind == "rms":
        return arrays[f"{site}.l2"] / math.sqrt(arrays[f"{site}.pooled"].shape[1])
    return arrays[f"{site}.{kind}"]


def sentence_token_table(
    norms: Float64[np.ndarray, "layer pos"], token_strings: Sequence[str]
) -> pd.DataFrame:
    """Norm by layer and token of the sentence."""
    n_layers, n_tokens = norms.shape
    return pd.DataFrame(
        {
            "layer": np.repeat(np.arange(n_layers), n_tokens),
            "position": np.tile(np.arange(n_tokens), n_layers),
            "token": list(token_strings) * n_layers,
            "norm": norms.ravel(),
        }
    )


def sentence_layer_table(
    norms: Float64[np.ndarray, "layer pos"],
    content: Span,
    units: Sequence[UnitMeasures],
    site: SiteName,
    kind: NormKind,
) -> pd.DataFrame:
    """Mean norm of the sentence's content by layer, beside the quartiles of each saved class.

    Quartiles are over the finite prompts of a class of their mean norm over content.
    """
    columns = {
        "layer": np.arange(len(norms)),
        "sentence": prompt_means(norms, [norms.shape[1]], [content])[:, 0],
    }
    for unit in units:
        means = prompt_means(token_norms(unit, site, kind), unit.lengths, unit.content)
        quartiles = finite_quartiles(means[: len(norms)])
        for name, values in zip(("q25", "median", "q75"), quartiles, strict=True):
            columns[f"{unit.emotion} {name}"] = values
    return pd.DataFrame(columns)


def _prompts(
    units: Sequence[UnitMeasures], site: SiteName, layer: int
) -> tuple[np.ndarray, list[str], list[str | None]]:
    pooled = np.concatenate([unit.sites[site].pooled[layer] for unit in units])
    labels = [unit.emotion for unit in units for _ in range(unit.n_samples)]
    scenarios = [unit.scenario(sample) for unit in units for sample in range(unit.n_samples)]
    finite = np.flatnonzero(np.isfinite(pooled).all(axis=1))
    return pooled[finite], [labels[i] for i in finite], [scenarios[i] for i in finite]
