"""The tidy tables of an analysis: one dataclass per table, one instance per row."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from emoact.schema import Site
from emoact.stats.directions.directions import DirectionKind
from emoact.stats.probes.accuracy import Verdict


def to_row(row: Any) -> dict[str, Any]:
    """A mapping of plain scalars, columns in the order of the fields."""
    return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}


@dataclass(frozen=True, kw_only=True, slots=True)
class StrengthRow:
    """One emotion at one layer: `Strength`, `Separation` and `PermutationTest` side by side.

    Attributes:
        cv: Signed root of the cross-validated squared strength; `cv_low` and `cv_high` are its 95 %
            interval by the jackknife.
        null_low: 2.5 % quantile of `cv` under relabelling; `null_high` the 97.5 % one.
        p: One layer alone; `p_max` against the maximum over layers and sites; `p_holm` that after
            Holm over emotions and models.
        significant: `p_holm` is at most alpha.
        length_corr: Spearman of prompt length and held-out projection.
    """

    model: str
    emotion: str
    site: Site
    layer: int
    l1: float
    l2: float
    relative: float
    cv_squared: float
    cv_squared_se: float
    cv: float
    cv_low: float
    cv_high: float
    cv_relative: float
    scale: float
    top_share: float
    null_low: float
    null_high: float
    z: float
    p: float
    p_max: float
    p_holm: float
    significant: bool
    d_prime: float
    d_prime_low: float
    d_prime_high: float
    auroc: float
    auroc_low: float
    auroc_high: float
    length_corr: float
    reliability: float
    n_emotion: int
    n_reference: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StabilityRow:
    """Agreement of one direction with itself at one layer.

    Attributes:
        split_half: Mean cosine over disjoint splits; `split_half_low` and `split_half_high` are its
            2.5 % and 97.5 % quantiles over splits.
        leave_one_out: Mean cosine with one scenario left out: always near 1, never alone.
        leave_one_out_min: The smallest of them.
        pairwise: Mean cosine between within-scenario differences.
    """

    model: str
    emotion: str
    site: Site
    layer: int
    split_half: float
    split_half_low: float
    split_half_high: float
    leave_one_out: float
    leave_one_out_min: float
    pairwise: float


@dataclass(frozen=True, kw_only=True, slots=True)
class VariantRow:
    """Another way to make the direction, beside the one that the analysis uses.

    Attributes:
        cosine: With the direction that the analysis uses.
        n_components: Neutral components that were projected out.
    """

    model: str
    emotion: str
    site: Site
    layer: int
    kind: DirectionKind
    l1: float
    l2: float
    cosine: float
    n_components: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DistanceRow:
    """Two emotions of one model at one layer.

    Attributes:
        cosine: Plain, against the shared neutral set.
        expectation: What the plain cosine of noise is, because of that sharing.
        null_mean: The same under relabelling, with `null_low` and `null_high` at 2.5 % and 97.5 %.
        cv_cosine: Cross-validated; NaN unless both strengths are positive. Not clipped.
        cv_se: Its jackknife standard error.
        zscored: The plain cosine with every dimension divided by its standard deviation.
        cv_zscored: The cross-validated one likewise.
        top_share: Share of the cosine's terms that the three largest dimensions carry.
        twin_differs: The z-scored twin differs by more than 0.2.
    """

    model: str
    site: Site
    layer: int
    emotion_a: str
    emotion_b: str
    cosine: float
    expectation: float
    null_mean: float
    null_low: float
    null_high: float
    cv_cosine: float
    cv_se: float
    zscored: float
    cv_zscored: float
    top_share: float
    twin_differs: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeRow:
    """Held-out accuracy of one probe at one layer.

    Attributes:
        evaluation: `cross_validated`, or `explicit_to_implicit`.
        shuffled: Accuracy of the same probe on shuffled labels (cross-validated only).
    """

    model: str
    emotion: str
    site: Site
    layer: int
    probe: str
    evaluation: str
    accuracy: float
    low: float
    high: float
    shuffled: float
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineRow:
    """Held-out accuracy of a classifier that does not see the model (or only its layer 0)."""

    model: str
    emotion: str
    baseline: str
    evaluation: str
    accuracy: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadlineRow:
    """What a page says first about one emotion in one model at one site.

    Attributes:
        p_family: Permutation p-value over all layers and sites; `p_holm` after Holm.
        layers: Layers at which the direction is significant.
        probe: Which probe the accuracies are of.
        evaluation: `cross_validated`, or `explicit_to_implicit`.
        accuracy: With the layer chosen inside the training prompts.
        baseline: Best baseline that sees words only (`layer_0` is one), and its accuracy.
        difference: Paired difference of the two accuracies with its 95 % interval.
        verdict: Key of `accuracy.VERDICTS`.
    """

    model: str
    emotion: str
    site: Site
    p_family: float
    p_holm: float
    significant: bool
    layers: int
    probe: str
    evaluation: str
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    baseline: str
    baseline_accuracy: float
    difference: float
    difference_low: float
    difference_high: float
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class SimilarityRow:
    """Two models as wholes at matched layers; nulls pair prompts at random within classes.

    Attributes:
        measure: `cka`, `cka_within` (class means removed) or `rsa`.
    """

    model_a: str
    model_b: str
    site: Site
    layer_a: int
    layer_b: int
    measure: str
    value: float
    null_mean: float
    null_sd: float
    p: float
    p_max: float
    n_prompts: int


CREDIBLE = 1.5
"""A `score_corr` further from 0 says that its ceiling is too low to divide by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AcrossRow:
    """One emotion's direction in two models at matched layers.

    Attributes:
        score_corr: The headline: `score_corr_raw` over `ceiling`, not clipped. Its null, of
            `score_corr_raw`, re-pairs prompts within classes.
        procrustes: Held-out cosine after a rotation; its null re-pairs prompts within classes.
        raw_cos: The plan's column, a negative control; NaN where the widths differ.
        raw_low: 2.5 % quantile under shuffled labels; `raw_high` the 97.5 % one.
        raw_isotropic: 1.96 / sqrt(d_model), too narrow for real activations.
    """

    model_a: str
    model_b: str
    site: Site
    emotion: str
    layer_a: int
    layer_b: int
    score_corr: float
    score_corr_raw: float
    ceiling: float
    score_corr_null: float
    score_corr_null_sd: float
    score_corr_p: float
    score_corr_p_max: float
    procrustes: float
    procrustes_null: float
    procrustes_null_sd: float
    procrustes_p: float
    procrustes_p_max: float
    raw_cos: float
    raw_low: float
    raw_high: float
    raw_isotropic: float


@dataclass(frozen=True, kw_only=True, slots=True)
class MapRow:
    """One cell of a layer x layer map; `emotion` is empty where the measure has none."""

    model_a: str
    model_b: str
    site: Site
    measure: str
    emotion: str
    layer_a: int
    layer_b: int
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PointRow:
    """One prompt on the principal axes of its layer or of all layers."""

    model: str
    site: Site
    layer: int
    emotion: str
    prompt_id: str
    basis: str
    pc1: float
    pc2: float
    pc3: float


@dataclass(frozen=True, kw_only=True, slots=True)
class AxisRow:
    """Share of a layer's variance that one axis of `PointRow` holds."""

    model: str
    site: Site
    layer: int
    basis: str
    axis: int
    explained: float
