"""Remarks on the data of an analysis: resampling, copies, sizes, shapes, tails, zero directions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from emoact.numbers import count, plural, significant, some
from emoact.schema import Finding
from emoact.sites import words as site_words
from emoact.stats.across.shared import differing_texts, sampled_rows
from emoact.stats.audit.counts import recurring, similar_pairs
from emoact.stats.audit.text import words_of
from emoact.stats.directions.emotion import EmotionFigures
from emoact.stats.features import ModelFeatures
from emoact.stats.null.uncertainty import LEAST_FREEDOM
from emoact.stats.probes.accuracy import MIN_UNITS
from emoact.stats.probes.probes import band
from emoact.stats.room import set_down
from emoact.stats.settings import AnalysisSettings
from emoact.stats.vectors import inverse_sd

UNEQUAL = 1.5
"""Ratio of sizes, and of spreads, from which a test of classes without scenarios is approximate."""

SEVERAL = 0.01
"""Share of near copies from which false alarms are clearly above 5 % (docs/calibration.md)."""

_EXCESS = 0.25
"""Variance of squared distances, over that of normal data, up to which intervals hold well."""

_ERRORS = 2.0
"""Standard errors of that variance which chance is allowed beside it."""

_FEWEST_PROMPTS = 20
_MOST_PROMPTS = 1000
_MOST_LAYERS = 5


def remarks_on(
    models: Sequence[ModelFeatures], figures: Iterable[EmotionFigures], settings: AnalysisSettings
) -> list[Finding]:
    """Notes and warnings on resampling, sizes, shapes and zero directions."""
    return [
        *(finding for model in models for finding in _on_model(model, settings)),
        *(finding for pair in combinations(models, 2) for finding in _on_pair(*pair)),
        *(finding for each in figures for finding in _on_emotion(each)),
    ]


def _on_model(model: ModelFeatures, settings: AnalysisSettings) -> Iterator[Finding]:
    design = model.design
    if not design.has_scenarios:
        yield _note(
            "no_scenarios",
            model.model,
            "no prompt names a scenario; every split, permutation and bootstrap resamples "
            "single prompts",
        )
    if design.n_scenarios == 1:
        yield _warning(
            "single_scenario",
            model.model,
            "all prompts belong to one scenario, so that nothing can be held out; only plain "
            "directions and norms have a value",
        )
    elif design.n_scenarios <= LEAST_FREEDOM:
        no_verdict = f"; with fewer than {MIN_UNITS} held-out ones there is no verdict on words"
        yield _warning(
            "few_scenarios",
            model.model,
            f"there are {design.n_scenarios} {design.unit}s; strength, d′ and AUROC have no "
            f"interval with fewer than {LEAST_FREEDOM + 1}, and other intervals are rough"
            + no_verdict
            * (design.n_scenarios < MIN_UNITS),
        )
    for label, scenarios in zip(design.labels, (design.counts > 0).sum(axis=1), strict=True):
        if scenarios == 1 and design.n_scenarios > 1:
            yield _warning(
                "one_sample",
                f"{model.model}/{label}",
                f"the class has prompts of one {design.unit} only; nothing can be held out",
            )
    if not any(prompt.text for prompt in model.prompts):
        yield _note(
            "unknown_prompts",
            model.model,
            "the files do not hold the prompts: word baselines are missing, and prompts are "
            "matched between models by their order",
        )
    scenarios_of = [
        {
            int(scenario)
            for scenario, prompt in zip(design.scenario_of, model.prompts, strict=True)
            if prompt.subset == subset
        }
        for subset in ("explicit", "implicit")
    ]
    shared = len(set.intersection(*scenarios_of))
    if shared:
        yield _warning(
            "transfer_shares_scenarios",
            model.model,
            f"{shared} of {design.n_scenarios} scenarios hold explicit and implicit prompts, so "
            "that a probe trained on explicit ones has seen the tested scenarios; accuracies from "
            "explicit to implicit prompts, their intervals and p-values are too good",
        )
    repeated = _repeated(model)
    if repeated:
        yield _warning(
            "repeated_prompts",
            model.model,
            f"{repeated} prompts are copies of a prompt of their class in another "
            f"{design.unit}; copies are counted as independent, so that p-values and intervals "
            "are too small",
        )
    near, complete = _near_copies(model)
    if near:
        rows = {row for _, row in near}
        yield (_warning if len(rows) >= SEVERAL * len(model.prompts) else _note)(
            "near_copies",
            model.model,
            f"{plural(len(rows), 'prompt shares', 'prompts share')} three fifths of their words or "
            f"more with one of their class in another {design.unit} "
            f"({some([f'{model.prompts[a].id} ~ {model.prompts[b].id}' for a, b in near], limit=3)}"
            "); they are counted as independent, so that p-values and intervals are too small",
        )
    if not complete:
        yield _note(
            "near_copies_unchecked",
            model.model,
            "too many prompts share their words: not all pairs were compared in the search for "
            "prompts that nearly repeat one another",
        )
    yield from far_prompts(model)
    if settings.pooling == "last":
        yield _note(
            "lexical_layer",
            model.model,
            "with the last token pooled, layer 0 holds its embedding only: effects at layer 0 "
            "are lexical or positional",
        )


def _repeated(model: ModelFeatures) -> int:
    """Prompts with text and vector of an earlier one of their class in another scenario."""
    last = next(iter(model.sites.values()))[:, -1]

    def key(row: int) -> tuple[int, str | bytes]:
        return int(model.design.label_of[row]), model.prompts[row].text or last[row].tobytes()

    first: dict[tuple[int, str | bytes], int] = {}
    repeated = 0
    for row in recurring(map(key, range(len(model.prompts)))):
        other = first.setdefault(key(row), row)
        apart = model.design.scenario_of[row] != model.design.scenario_of[other]
        here, there = (last[each].astype(np.float64) for each in (row, other))
        # Batches of other sizes round otherwise; a vector of zeros is a layer without values.
        repeated += bool(apart and np.linalg.norm(here - there) < 1e-3 * np.linalg.norm(here))
    set_down(last)
    return repeated


def _near_copies(model: ModelFeatures) -> tuple[list[tuple[int, int]], bool]:
    """Pairs of prompts of one class in two scenarios whose words are nearly, or all, the same.

    The second value is False where not all pairs were compared.
    """
    pairs: list[tuple[int, int]] = []
    complete = True
    for label in range(len(model.design.labels)):
        rows = np.flatnonzero(model.design.label_of == label)

        def words(place: int, rows: Int64[np.ndarray, " row"] = rows) -> tuple[str, ...]:
            return words_of(model.prompts[rows[place]].text)

        near, all_compared = similar_pairs(map(words, range(len(rows))))
        complete &= all_compared
        pairs += [(int(rows[a]), int(rows[b])) for a, b in near]
        first: dict[tuple[str, ...], int] = {}
        for place in recurring(map(words, range(len(rows)))):
            row, own = int(rows[place]), words(place)
            other = first.setdefault(own, row)
            # Texts that are equal to the letter are told by `_repeated`.
            if own and model.prompts[other].text != model.prompts[row].text:
                pairs.append((other, row))
    scenario = model.design.scenario_of
    apart = [pair for pair in pairs if scenario[pair[0]] != scenario[pair[1]]]
    return sorted(apart, key=lambda pair: pair[::-1]), complete


def far_prompts(model: ModelFeatures) -> Iterator[Finding]:
    """A warning for each site whose prompts are farther apart than those of normal data."""
    rows = np.asarray(sampled_rows(model.design, most=_MOST_PROMPTS))
    labels = model.design.label_of[rows]
    if len(rows) < _FEWEST_PROMPTS:
        return
    for site, vectors in model.sites.items():
        layers = band(vectors.shape[1])
        layers = layers[:: -(-len(layers) // _MOST_LAYERS)]
        squares, excess = excess_of_distances(labels, vectors[rows[:, None], np.asarray(layers)])
        set_down(vectors)
        if excess <= 0:
            continue
        far = int(np.argmax(squares))
        of = "" if len(rows) == len(model.prompts) else f" of {count(len(rows))} drawn at random"
        times = np.sqrt(squares[far] / np.median(squares))
        yield Finding(
            code="far_prompts",
            severity="warning",
            where=model.model,
            message=f"{site_words(site)}: prompts lie farther from the mean of their class than "
            f"those of normal data would (the farthest{of}, {model.prompts[rows[far]].id}, "
            f"{significant(times, 2)} times as far as the median one; layers {layers[0]} to "
            f"{layers[-1]}); the 95 % intervals of d′ and AUROC then hold in 77 to 93 % of data "
            "sets only, because a sample seldom has all the far prompts that there are",
            remedy="Read the farthest prompts; analyse again without those that do not belong, or "
            "with more scenarios.",
        )


def excess_of_distances(
    labels: Int[np.ndarray, " prompt"], vectors: Float[np.ndarray, "prompt layer d_model"]
) -> tuple[Float64[np.ndarray, " prompt"], float]:
    """Squared distance of each prompt from its class mean, and how much more they vary than may be.

    Both are medians over the layers; what is above 0 is neither normal nor chance.
    """
    every = [_distances(labels, vectors[:, layer]) for layer in range(vectors.shape[1])]
    error = 2 * _ERRORS * np.sqrt(6 / len(labels))
    excess = [own.var(ddof=1) - (2 + error) * share - _EXCESS for own, share in every]
    return np.median([own for own, _ in every], axis=0), float(np.median(excess))


def _distances(
    labels: Int[np.ndarray, " prompt"], vectors: Float[np.ndarray, "prompt d_model"]
) -> tuple[Float64[np.ndarray, " prompt"], float]:
    """Squared distances of one layer, and the share of one independent dimension in them.

    Dimensions have unit variance, and the squares of each class the mean 1, so that neither large
    dimensions nor unequal spreads decide. Squares of normal vectors have a variance of twice that
    share: 1 over the number of dimensions that vary independently, from products of different
    prompts, which no far prompt decides.
    """
    rest = vectors.astype(np.float64)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    for own in members:
        rest[own] -= rest[own].mean(axis=0)
    rest *= inverse_sd(rest.std(axis=0))
    squares = (rest**2).sum(axis=1)
    for own in members:
        size = squares[own].mean() or 1.0
        rest[own] /= np.sqrt(size)
        squares[own] /= size
    n, products = len(rest), rest @ rest.T
    share = ((products**2).sum() - (squares**2).sum()) / (n * (n - 1))
    return squares, float(share)


def _on_pair(first: ModelFeatures, second: ModelFeatures) -> Iterator[Finding]:
    where = f"{first.model}, {second.model}"
    layers, widths = zip(
        *(next(iter(model.sites.values())).shape[1:] for model in (first, second)), strict=True
    )
    differing = differing_texts(first, second)
    if differing:
        yield _warning(
            "prompts_differ",
            where,
            f"{differing} prompts go by the same id and have different texts; they are left "
            "out of the comparison",
        )
    if widths[0] != widths[1]:
        yield _note(
            "raw_cosine_refused",
            where,
            f"no raw cosine: the widths differ ({widths[0]}, {widths[1]})",
        )
    if layers[0] != layers[1]:
        yield _note(
            "layers_matched_by_depth",
            where,
            f"the models have {layers[0]} and {layers[1]} layers; layers are matched by "
            "relative depth",
        )


def _on_emotion(figures: EmotionFigures) -> Iterator[Finding]:
    where = f"{figures.model.model}/{figures.contrast.emotion}"
    zero = np.flatnonzero(figures.strength.l2 == 0)
    if len(zero):
        layers = ", ".join(map(str, zero))
        yield _warning(
            "zero_direction",
            where,
            f"{figures.site}: the direction is zero at layer {layers}, so that it has no "
            "cosine there",
        )
    judged = figures.judged
    if judged and judged.significance.least > judged.alpha and judged.columns.start == 0:
        yield _warning(
            "cannot_be_significant",
            where,
            "with so few scenarios or relabellings, beside the other emotions and models, no data "
            f"can have a p_holm below {significant(min(judged.significance.least, 1.0), 2)}: that "
            "the emotion is not shown to differ says nothing",
        )
    contrast = figures.contrast
    sizes = figures.n_prompts(contrast.emotion), figures.n_prompts(*contrast.reference)
    spreads = [float(each) for each in np.median(figures.spread, axis=1)]
    unequal = max(sizes) >= UNEQUAL * min(sizes) and max(spreads) >= UNEQUAL * min(spreads)
    if unequal and not contrast.plan.is_matched:
        reference = contrast.reference[0] if len(contrast.reference) == 1 else "the reference"
        yield _warning(
            "unequal_spread",
            where,
            f"{figures.site}: {contrast.emotion} has {sizes[0]} prompts and a spread of "
            f"{significant(spreads[0])}, {reference} {sizes[1]} prompts and "
            f"{significant(spreads[1])} (root mean square distance from the class mean in "
            "standardised dimensions, median over layers); without shared scenarios the "
            "permutation test is approximate for such classes, with false alarms of up to 7 % "
            "instead of 5 %",
        )


def _note(code: str, where: str, message: str) -> Finding:
    return Finding(code=code, severity="note", where=where, message=message)


def _warning(code: str, where: str, message: str) -> Finding:
    return Finding(code=code, severity="warning", where=where, message=message)
