"""The terms of the Across models page, each with its formula and its source."""

from __future__ import annotations

from collections.abc import Mapping

TERMS: Mapping[str, str] = {
    "score_corr": "Spearman correlation of the two models' held-out projections of the same "
    r"prompts, class labels partialled out, divided by $\sqrt{rel_A\,rel_B}$, the reliability "
    "ceiling; thin is before dividing, dotted the ceiling. Not clipped: beyond 1.5 the ceiling is "
    "too low to divide by, and the value stands in the table only. Its null pairs prompts at "
    "random within classes.",
    "procrustes": "principal components (at most 50) and a rotation fitted on training prompts, "
    r"then $\cos(R d_A, d_B)$ on the others. Its null re-pairs prompts within classes.",
    "cka": "linear CKA with the unbiased HSIC estimator ([Kornblith et al. "
    "1905.00414](https://arxiv.org/abs/1905.00414); [Nguyen et al. "
    "2010.15327](https://arxiv.org/abs/2010.15327)); the biased one reads .79 for independent "
    "noise of 200 prompts. `cka_within` removes class means first.",
    "rsa": "Spearman correlation of the two models' dissimilarities between prompts (Kriegeskorte "
    "2008).",
    "raw_cos": "the plan's cosine between the directions of two models; a negative control with "
    "no basis in common, and only where d_model is equal. The grey band holds 95 % under shuffled "
    "labels; isotropic noise would give the narrower $1.96/\\sqrt{d}$.",
    "matched layers": "layer *l* of the first model stands against the layer of the second at the "
    "same relative depth.",
}
"""What every measure is."""
