"""Directions and probes of one data set, tested on another data set of the same model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.errors import RequestError
from emoact.measures import Cell
from emoact.sites import SiteName
from emoact.stats.across.transfer_table import Scores, Tested, balanced
from emoact.stats.comparable import Configuration
from emoact.stats.design import design_of
from emoact.stats.features import ModelFeatures
from emoact.stats.null.splits import scenario_folds
from emoact.stats.null.uncertainty import bootstrap_counts
from emoact.stats.probes.baselines import BaselineKind, TextClassifiers
from emoact.stats.probes.probes import (
    MANY_PROMPTS,
    PROBE_KINDS,
    Split,
    band,
    fold_splits,
    layer_decisions,
)
from emoact.stats.rank import auroc
from emoact.stats.room import MEMORY, Room, set_down
from emoact.stats.vectors import BLOCK_NUMBERS

N_DRAWS = 1000
TEXT_KINDS: tuple[BaselineKind, ...] = ("tfidf", "char_tfidf", "bag_of_words", "length")
LAYER_0 = "layer_0"
_FIELDS = (
    "model",
    "processing",
    "bos",
    "dtype",
    "pooling",
    "chat",
    "generation",
    "revision",
    "weight_source",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pair:
    """Prompts of both data sets one after the other: the first for training, the second for tests.

    Attributes:
        rows: Rows of either that belong to the emotion or to neutral.
        is_emotion: True for the emotion.
        train: True for the first data set.
        texts: Classifiers of the texts of both.
        scenarios: Scenario of each tested prompt.
        often: How often each bootstrap draw has a scenario.
    """

    first: ModelFeatures
    second: ModelFeatures
    rows: tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]
    is_emotion: Bool[np.ndarray, " prompt"]
    train: Bool[np.ndarray, " prompt"]
    texts: TextClassifiers
    scenarios: Int[np.ndarray, " test"]
    often: Int[np.ndarray, "draw scenario"]

    @property
    def split(self) -> Split:
        """Training prompts, and tested ones."""
        return self.train, ~self.train

    def values(self, site: SiteName, layer: int) -> Float[np.ndarray, "prompt d_model"]:
        """Vectors of both at one layer."""
        sides = zip((self.first, self.second), self.rows, strict=True)
        found = np.concatenate([side.sites[site][rows, layer] for side, rows in sides])
        for side in (self.first, self.second):
            set_down(side.sites[site])
        return found

    def scores(self, decisions: Sequence[Float64[np.ndarray, " test"]]) -> Scores:
        """Scores of decision values of the tested prompts, one for each layer."""
        labels = self.is_emotion[~self.train]
        figures = (balanced, auroc)
        found = [
            [[figure(each, labels, weights) for each in decisions] for figure in figures]
            for weights in self._weights()
        ]
        shares, areas = (np.concatenate([each[n] for each in found], axis=1).T for n in (0, 1))
        return Scores(
            balanced=shares,
            auroc=areas,
            n_scenarios=min(len(np.unique(self.scenarios[side])) for side in (labels, ~labels)),
            n_prompts=(int(labels.sum()), int((~labels).sum())),
        )

    def _weights(self) -> Iterator[Float64[np.ndarray, "draw test"]]:
        """Weights of the tested prompts, a few draws at once; the first row counts each once."""
        yield np.ones((1, len(self.scenarios)))
        at_once = max(1, BLOCK_NUMBERS // len(self.scenarios))
        for start in range(0, len(self.often), at_once):
            yield self.often[start : start + at_once][:, self.scenarios].astype(np.float64)
            set_down(self.often)


def transfer_cells(
    first: ModelFeatures,
    second: ModelFeatures,
    labels: Mapping[str, str],
    *,
    neutral: str,
    sites: Sequence[SiteName],
    seed: int = 0,
    room: Room = MEMORY,
) -> Iterator[Cell]:
    """Cells of the tables `transfer` and `transfer_layers`, for every emotion that has a target.

    The first data set trains directions, probes and baselines; `labels` has the label of the
    second by that of the first, neutral among them. Draws and counted words are kept in `room`.
    """
    for emotion in (label for label in labels if label != neutral):
        pair = _pair(first, second, labels, emotion, neutral, seed=seed, room=room)
        names = {"model": first.model, "emotion": emotion, "target": labels[emotion]}
        words: dict[str, Scores] = {
            kind: pair.scores(
                [pair.texts.decisions(kind, pair.is_emotion, [pair.split])[~pair.train]]
            )
            for kind in TEXT_KINDS
            if kind in pair.texts.kinds
        }
        within = {kind: _within(pair, kind, sites[0], seed=seed) for kind in words}
        sizes = {
            "n_train": int(pair.train.sum()),
            "n": int((~pair.train).sum()),
            "n_emotion": int(pair.is_emotion[~pair.train].sum()),
            "n_scenarios": len(np.unique(pair.scenarios)),
        }
        for site in sites:
            n_layers = first.sites[site].shape[1]
            chosen = band(n_layers)
            decisions = np.stack(
                [
                    _decided(pair, site, layer, fully=layer in (0, *chosen))
                    for layer in range(n_layers)
                ],
                axis=1,
            )
            found = {
                probe: pair.scores(list(own))
                for probe, own in zip(PROBE_KINDS, decisions, strict=True)
            }
            if site == "resid_pre":
                words[LAYER_0] = found["logistic"].over([0])
                within[LAYER_0] = _within(pair, LAYER_0, site, seed=seed)
            best = max(within, key=lambda kind: within[kind])
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


def mapped_labels(
    first: Sequence[str], second: Sequence[str], asked: Mapping[str, str], neutral: str
) -> dict[str, str]:
    """Label of the second data set for each label of the first that has one, `asked` or equal.

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
            remedy="Match them with --map LABEL=LABEL (on the page, LABEL=LABEL in the field "
            f"Labels); {neutral} and one emotion are needed.",
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
    room: Room,
) -> _Pair:
    asked = ((first, (emotion, neutral)), (second, (labels[emotion], labels[neutral])))
    rows, sides, lengths = [], [], []
    texts = list[str]()
    for side, wanted in asked:
        numbers = [side.design.index(label) for label in wanted]
        own = np.flatnonzero(np.isin(side.design.label_of, numbers))
        rows.append(own)
        sides.append(side.design.label_of[own] == numbers[0])
        texts += [side.prompts[row].text for row in own.tolist()]
        lengths.append(side.n_tokens[own])
    names = [second.prompts[row].scenario_id for row in rows[1].tolist()]
    design = design_of(["x"] * len(names), names)
    return _Pair(
        first=first,
        second=second,
        rows=(rows[0], rows[1]),
        is_emotion=np.concatenate(sides),
        train=np.arange(len(rows[0]) + len(rows[1])) < len(rows[0]),
        texts=TextClassifiers(texts, np.concatenate(lengths), room),
        scenarios=design.scenario_of,
        often=bootstrap_counts(design, N_DRAWS, seed=seed, room=room),
    )


def _decided(
    pair: _Pair, site: SiteName, layer: int, *, fully: bool
) -> Float64[np.ndarray, "probe test"]:
    """Decisions of every probe; of many prompts the logistic one is NaN unless `fully`."""
    fitted = fully or pair.train.sum() <= MANY_PROMPTS
    kinds = [kind for kind in PROBE_KINDS if fitted or kind != "logistic"]
    values = pair.values(site, layer)
    found = layer_decisions(values, pair.is_emotion, [pair.split], kinds)[:, ~pair.train]
    blank = np.full(found.shape[1], np.nan)
    return np.stack([found[kinds.index(k)] if k in kinds else blank for k in PROBE_KINDS])


def _folds(pair: _Pair, seed: int) -> list[Split]:
    """Training and tested prompts within the first data set."""
    own = [pair.first.prompts[row].scenario_id for row in pair.rows[0].tolist()]
    labels = [str(value) for value in pair.is_emotion[pair.train]]
    folds = np.full(len(pair.train), -1)
    folds[pair.train] = scenario_folds(design_of(labels, own), seed=seed)
    return fold_splits(pair.train, folds)


def _within(pair: _Pair, kind: str, site: SiteName, *, seed: int) -> float:
    """Cross-validated balanced accuracy within the first data set: what the choice rests on."""
    splits = _folds(pair, seed)
    if kind == LAYER_0:
        decisions = layer_decisions(pair.values(site, 0), pair.is_emotion, splits, ["logistic"])[0]
    else:
        (known,) = (each for each in TEXT_KINDS if each == kind)
        decisions = pair.texts.decisions(known, pair.is_emotion, splits)
    own = decisions[pair.train]
    return float(balanced(own, pair.is_emotion[pair.train], np.ones((1, len(own))))[0])
