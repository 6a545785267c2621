"""Directions and probes of one data set, tested on another data set of the same model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.errors import RequestError
from emoact.measures import Cell
from emoact.sites import SiteName
from emoact.stats.across.transfer_table import Scores, Tested, auroc, balanced
from emoact.stats.comparable import Configuration
from emoact.stats.design import design_of
from emoact.stats.features import ModelFeatures
from emoact.stats.null.splits import scenario_folds
from emoact.stats.null.uncertainty import bootstrap_counts
from emoact.stats.probes.baselines import BaselineKind, TextClassifiers
from emoact.stats.probes.probes import DECIDERS, PROBE_KINDS, Decide, standardised

N_DRAWS = 1000
TEXT_KINDS: tuple[BaselineKind, ...] = ("tfidf", "char_tfidf", "bag_of_words", "length")
LAYER_0 = "layer_0"
_FIELDS = ("model", "processing", "bos", "dtype", "pooling", "revision", "weight_source")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pair:
    """Prompts of both data sets one after the other: the first for training, the second for tests.

    Attributes:
        first: The first data set.
        second: The second data set.
        rows: Rows of either that belong to the emotion or to neutral.
        is_emotion: True for the emotion.
        train: True for the first data set.
        draws: Weights of the tested prompts; row 0 counts each once.
    """

    first: ModelFeatures
    second: ModelFeatures
    rows: tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]
    is_emotion: Bool[np.ndarray, " prompt"]
    train: Bool[np.ndarray, " prompt"]
    draws: Float64[np.ndarray, "draw test"]

    def values(self, site: SiteName, layer: int) -> Float[np.ndarray, "prompt d_model"]:
        """Vectors of both at one layer."""
        sides = zip((self.first, self.second), self.rows, strict=True)
        return np.concatenate([side.sites[site][rows, layer] for side, rows in sides])

    @property
    def texts(self) -> list[str]:
        """Texts of both."""
        sides = zip((self.first, self.second), self.rows, strict=True)
        return [side.prompts[row].text for side, rows in sides for row in rows]

    @property
    def n_tokens(self) -> Int[np.ndarray, " prompt"]:
        """Lengths of both."""
        sides = zip((self.first, self.second), self.rows, strict=True)
        return np.concatenate([side.n_tokens[rows] for side, rows in sides])

    def scores(self, decisions: Sequence[Float64[np.ndarray, " test"]]) -> Scores:
        """Scores of decision values of the tested prompts, one for each layer."""
        labels = self.is_emotion[~self.train]
        return Scores(
            balanced=np.stack([balanced(each, labels, self.draws) for each in decisions], axis=1),
            auroc=np.stack([auroc(each, labels, self.draws) for each in decisions], axis=1),
        )


def transfer_cells(
    first: ModelFeatures,
    second: ModelFeatures,
    labels: Mapping[str, str],
    *,
    neutral: str,
    sites: Sequence[SiteName],
    seed: int = 0,
) -> Iterator[Cell]:
    """Cells of the tables `transfer` and `transfer_layers`, for every emotion that has a target.

    Args:
        first: Data set that directions, probes and baselines are trained on.
        second: Data set that they are tested on.
        labels: Label of the second data set by label of the first, neutral among them.
        neutral: Label of the first data set that directions are measured from.
        sites: Which sites to test.
        seed: Of folds and bootstrap draws.
    """
    for emotion in (label for label in labels if label != neutral):
        pair = _pair(first, second, labels, emotion, neutral, seed=seed)
        names = {"model": first.model, "emotion": emotion, "target": labels[emotion]}
        words: dict[str, Scores] = {
            kind: pair.scores([_by_text(pair, kind, pair.train, ~pair.train)])
            for kind in TEXT_KINDS
            if kind == "length" or any(text.strip() for text in pair.texts)
        }
        within: dict[str, float] = {
            kind: _within(pair, kind, seed=seed) for kind in TEXT_KINDS if kind in words
        }
        sizes = {
            "n_train": int(pair.train.sum()),
            "n": int((~pair.train).sum()),
            "n_scenarios": len(np.unique(second.design.scenario_of[pair.rows[1]])),
        }
        for site in sites:
            found = {
                probe: pair.scores(
                    [
                        _by_vector(pair.values(site, layer), pair, DECIDERS[probe])
                        for layer in range(first.sites[site].shape[1])
                    ]
                )
                for probe in PROBE_KINDS
            }
            if site == "resid_pre":
                words[LAYER_0] = found["logistic"].over([0])
                within[LAYER_0] = _within_layer(pair, site, seed=seed)
            best = max(within, key=lambda kind: within[kind])
            n_layers = first.sites[site].shape[1]
            chosen = band(n_layers)
            for probe, scores in found.items():
                ids = {**names, "site": site, "layer": np.arange(n_layers), "probe": probe}
                yield Cell(table="transfer_layers", ids=ids, source=scores)
                observed = scores.balanced[0, list(chosen)]
                source = Tested(
                    scores=scores.over(chosen),
                    layers=f"{chosen[0]}-{chosen[-1]}",
                    extremes=(float(observed.min()), float(observed.max())),
                    baseline=best,
                    words=words[best],
                    **sizes,
                )
                yield Cell(
                    table="transfer",
                    ids={**names, "site": site, "classifier": probe},
                    source=source,
                )
        for kind, scores in words.items():
            value = float(scores.balanced[0, 0])
            source = Tested(
                scores=scores,
                layers="0" if kind == LAYER_0 else "",
                extremes=(value, value),
                baseline=best,
                words=None,
                **sizes,
            )
            ids = {**names, "site": "resid_pre" if kind == LAYER_0 else "", "classifier": kind}
            yield Cell(table="transfer", ids=ids, source=source)


def band(n_layers: int) -> range:
    """The middle half of the layers, fixed before any figure is known."""
    return range(max(n_layers // 4, min(1, n_layers - 1)), -(-3 * n_layers // 4))


def mapped_labels(
    first: Sequence[str], second: Sequence[str], asked: Mapping[str, str], neutral: str
) -> dict[str, str]:
    """Label of the second data set for each label of the first that has one.

    Args:
        first: Labels of the data set for training.
        second: Labels of the data set for tests.
        asked: Labels that the user has matched; others match where they are the same.
        neutral: Of the first data set.

    Raises:
        RequestError: A label is in neither data set, neutral has no counterpart, or no emotion has.
    """
    for name, target in asked.items():
        for label, there, which in ((name, first, "first"), (target, second, "second")):
            if label not in there:
                raise RequestError(
                    f"{label!r} (of {name}={target}) is no label of the {which} data set; it has "
                    f"{', '.join(there)}"
                )
    found = {label: asked.get(label, label) for label in first}
    found = {label: target for label, target in found.items() if target in second}
    if neutral not in found or len(found) < 2:
        missing = [label for label in first if label not in found]
        raise RequestError(
            f"labels of the first data set without a counterpart: {', '.join(missing)}; the second "
            f"has {', '.join(second)}",
            remedy=f"Match them with --map LABEL=LABEL; {neutral} and one emotion are needed.",
        )
    return found


def check_configurations(
    first: Mapping[str, Configuration], second: Mapping[str, Configuration]
) -> None:
    """Check that both were made by one model in one way; the data sets differ.

    Raises:
        RequestError: A field differs; the message names it with both values.
    """
    for field in _FIELDS:
        values = [{getattr(each, field) for each in side.values()} for side in (first, second)]
        known = [value - {None} for value in values]
        if known[0] and known[1] and (known[0] != known[1] or len(known[0]) > 1):
            shown = [", ".join(sorted(map(str, value))) for value in known]
            raise RequestError(
                f"{field} is {shown[0]} in the first folder and {shown[1]} in the second",
                remedy="Extract both with the same model and options.",
            )


def _pair(
    first: ModelFeatures,
    second: ModelFeatures,
    labels: Mapping[str, str],
    emotion: str,
    neutral: str,
    *,
    seed: int,
) -> _Pair:
    asked = ((first, (emotion, neutral)), (second, (labels[emotion], labels[neutral])))
    rows, sides = [], []
    for side, wanted in asked:
        numbers = [side.design.index(label) for label in wanted]
        own = np.flatnonzero(np.isin(side.design.label_of, numbers))
        rows.append(own)
        sides.append(side.design.label_of[own] == numbers[0])
    design = design_of(["x"] * len(rows[1]), [second.prompts[row].scenario_id for row in rows[1]])
    often = bootstrap_counts(design, N_DRAWS, seed=seed)[:, design.scenario_of]
    return _Pair(
        first=first,
        second=second,
        rows=(rows[0], rows[1]),
        is_emotion=np.concatenate(sides),
        train=np.arange(len(rows[0]) + len(rows[1])) < len(rows[0]),
        draws=np.vstack([np.ones(len(rows[1])), often]).astype(np.float64),
    )


def _by_vector(
    values: Float[np.ndarray, "prompt d_model"], pair: _Pair, decide: Decide
) -> Float64[np.ndarray, " test"]:
    here, there = standardised(values[pair.train], values[~pair.train])
    return decide(here, pair.is_emotion[pair.train], there)


def _by_text(
    pair: _Pair,
    kind: BaselineKind,
    train: Bool[np.ndarray, " prompt"],
    test: Bool[np.ndarray, " prompt"],
) -> Float64[np.ndarray, " test"]:
    classifiers = TextClassifiers(pair.texts, pair.n_tokens)
    return np.asarray(classifiers.decisions(kind, pair.is_emotion, [(train, test)])[test])


def _folds(pair: _Pair, seed: int) -> Iterator[tuple[Bool[np.ndarray, " prompt"], ...]]:
    """Training and tested prompts within the first data set."""
    own = [pair.first.prompts[row].scenario_id for row in pair.rows[0]]
    labels = [str(value) for value in pair.is_emotion[pair.train]]
    folds = np.full(len(pair.train), -1)
    folds[pair.train] = scenario_folds(design_of(labels, own), seed=seed)
    for fold in range(int(folds.max()) + 1):
        yield pair.train & (folds != fold), folds == fold


def _within(pair: _Pair, kind: BaselineKind, *, seed: int) -> float:
    """Cross-validated balanced accuracy within the first data set: what the choice rests on."""
    decisions = np.full(len(pair.train), np.nan)
    for train, test in _folds(pair, seed):
        decisions[test] = _by_text(pair, kind, train, test)
    return _balanced_within(pair, decisions)


def _within_layer(pair: _Pair, site: SiteName, *, seed: int) -> float:
    """The same of the logistic probe at layer 0."""
    values, decisions = pair.values(site, 0), np.full(len(pair.train), np.nan)
    for train, test in _folds(pair, seed):
        here, there = standardised(values[train], values[test])
        decisions[test] = DECIDERS["logistic"](here, pair.is_emotion[train], there)
    return _balanced_within(pair, decisions)


def _balanced_within(pair: _Pair, decisions: Float64[np.ndarray, " prompt"]) -> float:
    own = decisions[pair.train]
    return float(balanced(own, pair.is_emotion[pair.train], np.ones((1, len(own))))[0])
